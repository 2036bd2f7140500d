//! One message and its answer, as it arrives.

use std::{sync::Arc, time::Duration};

use bartizan_engine::{
    event::{Execution, TurnEvent},
    message::{Message, Role, ToolCall, ToolResult},
    owner::Owner,
    request::{ClientToolMode, SessionChoice, TurnRequest},
    run::Run,
};
use serde_json::{Value, json};

use super::{Chat, input::Input, is_watched};
use crate::{
    output::{self, Style},
    refusal::Refusal,
};

/// After how long without a word a person is told that something is going on.
const PATIENCE: Duration = Duration::from_secs(1);

impl Chat {
    /// Asks and prints the answer. False where there was none.
    ///
    /// # Errors
    /// Where standard input cannot be read.
    pub fn answer(&self, text: String, input: &mut Input) -> Result<bool, Refusal> {
        let message = Message::text(Role::User, text);
        let mut request =
            TurnRequest::new(Arc::new(Owner::local()), self.agent.clone(), vec![message]);
        request.session = SessionChoice::Open(self.session.clone());
        request.client_tool_mode = ClientToolMode::Wait;
        request.variables = self.values.clone();
        let run = match self.runtime.block_on(self.engine.start(request)) {
            Ok(run) => run,
            Err(failure) => {
                fail(&failure.message);
                return Ok(false);
            }
        };
        let mut shown = Shown { by_person: input.is_terminal(), ..Shown::default() };
        let mut events = run.follow(0);
        while let Some(batch) = self.runtime.block_on(next(&run, &mut events, &mut shown)) {
            for logged in batch {
                if let TurnEvent::ToolCall { call, execution: Execution::Client } = &logged.event {
                    shown.event(&logged.event);
                    let result = ask(call, input)?;
                    if let Err(failure) = run.submit(result) {
                        fail(&failure.message);
                    }
                } else {
                    shown.event(&logged.event);
                }
            }
        }
        Ok(!shown.failed)
    }
}

/// The next events. Meanwhile Ctrl-C stops the turn, and a person who waits is told so.
async fn next(
    run: &Arc<Run>,
    events: &mut bartizan_engine::run::RunEvents,
    shown: &mut Shown,
) -> Option<Vec<Arc<bartizan_engine::event::LoggedEvent>>> {
    loop {
        tokio::select! {
            batch = events.next_batch() => {
                shown.clear_waiting();
                return batch;
            }
            // Only for a person: once it is listened for, the signal ends no program any more.
            interrupted = tokio::signal::ctrl_c(), if shown.by_person => {
                if interrupted.is_ok() {
                    run.cancel();
                }
            }
            () = tokio::time::sleep(PATIENCE), if shown.may_wait() => shown.show_waiting(),
        }
    }
}

/// What has been printed of an answer.
#[derive(Default)]
struct Shown {
    /// Whether a person typed the message.
    by_person: bool,
    /// Whether the line has begun.
    in_line: bool,
    /// Whether a person was told to wait.
    waiting: bool,
    failed: bool,
}

impl Shown {
    fn event(&mut self, event: &TurnEvent) {
        let style = Style::of_stderr();
        match event {
            TurnEvent::Text { delta } => {
                // Tool calls have lines of their own, so what follows begins without a gap.
                let text = if self.in_line { delta } else { delta.trim_start_matches('\n') };
                output::piece(&output::answer(text));
                self.in_line = !text.is_empty() && !text.ends_with('\n');
            }
            TurnEvent::ToolCall { call, .. } => {
                self.end_line();
                let arguments = call.arguments.to_string();
                let (name, arguments) = (output::plain(&call.name), output::plain(&arguments));
                output::note(style.dim(format!("→ {name} {arguments}")));
            }
            TurnEvent::ToolResult { result } => {
                self.end_line();
                let sign = if result.is_error { "✗" } else { "←" };
                let content = short(&result.content_text());
                output::note(style.dim(format!("{sign} {}", output::plain(&content))));
            }
            TurnEvent::Media { media } => {
                self.end_line();
                output::note(style.dim(format!("[{}]", output::plain(&media.mime_type))));
            }
            TurnEvent::Failed { message, .. } => {
                self.end_line();
                fail(message);
                self.failed = true;
            }
            TurnEvent::Done { .. } => self.end_line(),
            TurnEvent::Started { .. } | TurnEvent::Reasoning { .. } | TurnEvent::Usage { .. } => {}
        }
    }

    fn end_line(&mut self) {
        if self.in_line {
            output::piece("\n");
            self.in_line = false;
        }
    }

    fn may_wait(&self) -> bool {
        is_watched() && !self.in_line && !self.waiting
    }

    fn show_waiting(&mut self) {
        output::note_piece("…");
        self.waiting = true;
    }

    fn clear_waiting(&mut self) {
        if self.waiting {
            output::note_piece("\r\x1b[K");
            self.waiting = false;
        }
    }
}

/// Asks the person to be the tool.
fn ask(call: &ToolCall, input: &mut Input) -> Result<ToolResult, Refusal> {
    output::note(format!(
        "{} asks you; answer with JSON or text, or nothing to refuse",
        output::plain(&call.name)
    ));
    let line = input.line("= ")?.unwrap_or_default();
    let is_error = line.trim().is_empty();
    let content = match serde_json::from_str(&line) {
        Ok(value) => value,
        Err(_) if is_error => json!("the user refused"),
        Err(_) => Value::String(line),
    };
    Ok(ToolResult { call_id: call.id.clone(), name: call.name.clone(), content, is_error })
}

fn fail(message: &str) {
    output::note(format!("{} {}", Style::of_stderr().red("error:"), output::plain(message)));
}

/// The beginning of a text, for one line.
fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
