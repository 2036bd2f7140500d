//! One `Converse` stream: hello, then turn after turn until somebody ends it.
//!
//! The stream is a state machine that is asked for its next frame. Between turns it listens to
//! the client; in a turn it follows the run, and listens to the client only while a tool of the
//! client's is waited for, so that a client may send its next message before the turn is over
//! and find it answered in order.

use std::{collections::VecDeque, sync::Arc};

use bartizan_engine::{
    event::{Execution, LoggedEvent, TurnEvent},
    failure::FailureCode,
    message::{Media, ToolResult},
    run::{Run, RunEvents},
};
use futures::{Stream, stream};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::{Status, Streaming};

use super::{
    codec,
    failure::{Refusal, failed_frame},
    input, output,
    pace::Pace,
    service::Door,
    wire::{ClientMessage, ServerMessage},
};

/// One `Converse` stream.
pub(super) struct Conversation {
    door: Arc<Door>,
    inbound: Streaming<ClientMessage>,
    /// Frames that are ready to leave.
    outbox: VecDeque<ServerMessage>,
    /// The turn at work; none between turns.
    turn: Option<Turn>,
    /// Whether a turn was ever asked for.
    spoken: bool,
    /// Whether the client will say nothing more.
    half_closed: bool,
    /// Whether the stream ends when the outbox is empty.
    over: bool,
    /// The status that it then ends with, if not OK.
    fault: Option<Status>,
    /// Held while the stream is open, so that a server that stops can wait for it.
    _open: TaskTrackerToken,
}

impl Conversation {
    /// The frames of a conversation with whoever sends `inbound`.
    pub(super) fn frames(
        door: Arc<Door>,
        inbound: Streaming<ClientMessage>,
    ) -> impl Stream<Item = Result<ServerMessage, Status>> + Send {
        let conversation = Self {
            _open: door.streams.token(),
            door,
            inbound,
            outbox: VecDeque::from([output::hello()]),
            turn: None,
            spoken: false,
            half_closed: false,
            over: false,
            fault: None,
        };
        stream::unfold(conversation, |mut conversation| async move {
            conversation.next_frame().await.map(|frame| (frame, conversation))
        })
    }

    async fn next_frame(&mut self) -> Option<Result<ServerMessage, Status>> {
        loop {
            if let Some(frame) = self.outbox.pop_front() {
                return Some(Ok(frame));
            }
            if self.over {
                return self.fault.take().map(Err);
            }
            match &mut self.turn {
                Some(turn) => {
                    let heard = turn.listen(&mut self.inbound).await;
                    self.act_on(heard);
                }
                None if self.half_closed => self.over = true,
                None => self.listen().await,
            }
        }
    }

    /// Waits for the client's next message, or for the server to stop.
    async fn listen(&mut self) {
        tokio::select! {
            biased;
            message = self.inbound.message() => match message {
                Ok(Some(message)) => self.begin(message).await,
                Ok(None) => self.half_closed = true,
                Err(status) => self.break_off(status),
            },
            () = self.door.closing.cancelled() => {
                self.over = true;
                if !self.spoken {
                    self.outbox.push_back(failed_frame(
                        FailureCode::ShuttingDown,
                        "the server is shutting down and takes no new turns",
                    ));
                }
            }
        }
    }

    /// Begins the turn that a message asks for.
    async fn begin(&mut self, message: ClientMessage) {
        self.spoken = true;
        match self.door.begin(message).await {
            Ok(run) => self.turn = Some(Turn::new(run)),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn act_on(&mut self, heard: Heard) {
        let Some(turn) = &mut self.turn else { return };
        match heard {
            Heard::Events(events) => match turn.tell(&events, &mut self.outbox) {
                Course::Goes => {
                    if self.half_closed {
                        turn.excuse_client();
                    }
                }
                Course::Done => {
                    self.turn = None;
                    self.over = self.half_closed;
                }
                Course::Failed => {
                    self.turn = None;
                    self.over = true;
                }
            },
            Heard::Said(message) => {
                if let Err(refusal) = turn.answer(*message) {
                    turn.run.cancel();
                    self.refuse(refusal);
                }
            }
            Heard::HalfClose => {
                self.half_closed = true;
                turn.excuse_client();
            }
            Heard::Fault(status) => self.break_off(status),
            Heard::Nothing => turn.pass_time(&mut self.outbox),
        }
    }

    /// Ends the stream with an `Error`. The status is OK: a facade that has seen the error waits
    /// for nothing else, and one that saw an error status would report two.
    fn refuse(&mut self, refusal: Refusal) {
        self.outbox.push_back(refusal.into_frame());
        self.turn = None;
        self.over = true;
    }

    /// Ends the stream because what arrives is no message, or nothing arrives any more.
    fn break_off(&mut self, status: Status) {
        self.fault = Some(codec::blame(status));
        self.turn = None;
        self.over = true;
    }
}

/// What happened in a turn, or did not.
enum Heard {
    /// The run has news; none after its last event.
    Events(Vec<Arc<LoggedEvent>>),
    /// The client said something while its tool is waited for.
    Said(Box<ClientMessage>),
    /// It will say nothing more.
    HalfClose,
    /// What it sends is no message, or it is gone.
    Fault(Status),
    /// Time passed.
    Nothing,
}

/// How a turn stands.
enum Course {
    Goes,
    Done,
    Failed,
}

/// A turn with its client attached.
///
/// The run does not end with the connection: a session's turn goes on and is stored. Only the
/// client's tools have nobody left to run them, so when this is dropped before the end, each of
/// their calls is answered with an error at once instead of after the engine's patience.
struct Turn {
    run: Arc<Run>,
    events: RunEvents,
    pace: Pace,
    /// Media made so far; they leave with `Done`.
    media: Vec<Media>,
    /// The call that the client owes a result.
    owed: Option<String>,
}

impl Turn {
    fn new(run: Arc<Run>) -> Self {
        Self {
            events: run.follow(0),
            run,
            pace: Pace::new(Instant::now()),
            media: Vec::new(),
            owed: None,
        }
    }

    /// Waits for whatever happens first. Dropping the future loses nothing.
    async fn listen(&mut self, inbound: &mut Streaming<ClientMessage>) -> Heard {
        let due = self.pace.due(Instant::now());
        tokio::select! {
            biased;
            events = self.events.next_batch() => Heard::Events(events.unwrap_or_default()),
            message = inbound.message(), if self.owed.is_some() => match message {
                Ok(Some(message)) => Heard::Said(Box::new(message)),
                Ok(None) => Heard::HalfClose,
                Err(status) => Heard::Fault(status),
            },
            // A client that owes a result is not waiting for us.
            () = tokio::time::sleep_until(due), if self.owed.is_none() => Heard::Nothing,
        }
    }

    /// Puts what the run tells into frames.
    fn tell(
        &mut self,
        events: &[Arc<LoggedEvent>],
        outbox: &mut VecDeque<ServerMessage>,
    ) -> Course {
        if events.is_empty() {
            // A run ends with an event that says so; this is the end of a run that did not.
            outbox.push_back(failed_frame(FailureCode::Internal, "the turn ended without its end"));
            return Course::Failed;
        }
        for logged in events {
            match &logged.event {
                TurnEvent::Text { delta } => self.pace.gather(delta),
                TurnEvent::Media { media } => self.media.push(media.clone()),
                TurnEvent::ToolCall { call, execution: Execution::Client } => {
                    self.flush(outbox);
                    outbox.push_back(output::tool_call(call, self.run.consent(&call.name)));
                    self.pace.spoke(Instant::now());
                    self.owed = Some(call.id.clone());
                }
                TurnEvent::ToolResult { result } => {
                    self.owed.take_if(|owed| *owed == result.call_id);
                }
                TurnEvent::Done { stop_reason, text, usage } => {
                    self.flush(outbox);
                    let media = std::mem::take(&mut self.media);
                    outbox.push_back(output::done(text, stop_reason, media, usage));
                    return Course::Done;
                }
                TurnEvent::Failed { code, message, .. } => {
                    self.flush(outbox);
                    outbox.push_back(failed_frame(*code, message));
                    return Course::Failed;
                }
                // The contract has no place for these; facades drop calls that run here.
                TurnEvent::Started { .. }
                | TurnEvent::Reasoning { .. }
                | TurnEvent::ToolCall { execution: Execution::Server, .. }
                | TurnEvent::Usage { .. } => {}
            }
        }
        self.pass_time(outbox);
        Course::Goes
    }

    /// Sends what is gathered, time or not.
    fn flush(&mut self, outbox: &mut VecDeque<ServerMessage>) {
        outbox.extend(self.pace.take(Instant::now()).map(output::chunk));
    }

    /// Sends what has become due.
    fn pass_time(&mut self, outbox: &mut VecDeque<ServerMessage>) {
        if self.owed.is_none() {
            outbox.extend(self.pace.take_due(Instant::now()).map(output::chunk));
        }
    }

    /// Hands in what the client's tool answered.
    fn answer(&mut self, message: ClientMessage) -> Result<(), Refusal> {
        let result = input::tool_result(message)?;
        let late = self.owed.as_ref() == Some(&result.call_id);
        match self.run.submit(result) {
            // The engine's patience ended a moment before; the event that says so is on its way.
            Err(_) if late => {}
            outcome => outcome?,
        }
        self.owed = None;
        self.pace.spoke(Instant::now());
        Ok(())
    }

    /// Answers the call that a client owes a result who will say nothing more.
    fn excuse_client(&mut self) {
        if let Some(call_id) = self.owed.take() {
            excuse(&self.run, call_id);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.run.is_finished() {
            return;
        }
        // Without a runtime the process is ending, and the run with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(excuse_all(self.run.follow(0)));
        }
    }
}

/// Answers every call for a client that is gone, until the run ends.
async fn excuse_all(mut events: RunEvents) {
    while let Some(batch) = events.next_batch().await {
        for logged in &batch {
            if let TurnEvent::ToolCall { call, execution: Execution::Client } = &logged.event {
                excuse(events.run(), call.id.clone());
            }
        }
    }
}

fn excuse(run: &Run, call_id: String) {
    // A call that nobody waits for any more needs no answer.
    let _ = run.submit(ToolResult {
        call_id,
        name: String::new(),
        content: "the tool was not run: the client went away".into(),
        is_error: true,
    });
}
