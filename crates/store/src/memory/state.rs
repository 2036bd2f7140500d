//! What is remembered, and in which order it is forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bartizan_engine::{
    event::{LoggedEvent, TurnEvent},
    identity::{RunId, SessionId},
    message::{Media, MediaSource, Message, Part},
    owner::Owner,
    ports::store::{RunRecord, Session, StoreError, StoredMessage, TurnRecord},
};
use jiff::Timestamp;

use crate::rule::{expired, rounded, written_at};

/// Ownership is part of every key.
type SessionKey = (Owner, SessionId);
type RunKey = (Owner, RunId);

/// What a record takes beside its text, roughly.
const OVERHEAD: usize = 512;

/// All that is remembered.
#[derive(Debug)]
pub(super) struct State {
    max_bytes: usize,
    bytes: usize,
    sessions: BTreeMap<SessionKey, Conversation>,
    runs: BTreeMap<RunKey, Run>,
    /// The runs that name a session, whether it exists or not.
    runs_of: BTreeMap<SessionKey, BTreeSet<RunId>>,
    /// Runs that have ended and that no session holds, by their end.
    loose: BTreeSet<(Timestamp, RunKey)>,
    /// Sessions by the moment of their last use, as counted by `uses`.
    by_use: BTreeMap<u64, SessionKey>,
    uses: u64,
}

/// A session and what was said in it.
#[derive(Debug)]
struct Conversation {
    session: Session,
    messages: Vec<StoredMessage>,
    bytes: usize,
    /// Its place in `by_use`.
    used: u64,
}

/// A run and what happened in it.
#[derive(Debug)]
struct Run {
    record: RunRecord,
    events: Vec<Arc<LoggedEvent>>,
    /// Whether it wrote messages and lives as long as they, or for a set time.
    kept: bool,
    bytes: usize,
}

impl State {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            sessions: BTreeMap::new(),
            runs: BTreeMap::new(),
            runs_of: BTreeMap::new(),
            loose: BTreeSet::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    pub(super) fn session(
        &self,
        owner: &Owner,
        id: &SessionId,
        now: Timestamp,
    ) -> Option<&Session> {
        self.conversation(owner, id, now).map(|conversation| &conversation.session)
    }

    fn conversation(&self, owner: &Owner, id: &SessionId, now: Timestamp) -> Option<&Conversation> {
        self.sessions
            .get(&(owner.clone(), id.clone()))
            .filter(|conversation| !expired(conversation.session.expires_at, now))
    }

    pub(super) fn sessions(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<&SessionId>,
        now: Timestamp,
    ) -> Vec<Session> {
        let place = |session: &Session| (session.updated_at, session.id.clone());
        let last = match after.map(|id| self.session(owner, id, now)) {
            None => None,
            Some(Some(session)) => Some(place(session)),
            Some(None) => return Vec::new(),
        };
        let mut found: Vec<&Session> = self
            .sessions
            .iter()
            .filter(|((its_owner, _), _)| its_owner == owner)
            .map(|(_, conversation)| &conversation.session)
            .filter(|session| !expired(session.expires_at, now))
            .filter(|session| last.as_ref().is_none_or(|last| place(session) < *last))
            .collect();
        found.sort_by_key(|session| std::cmp::Reverse(place(session)));
        found.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn messages(
        &self,
        owner: &Owner,
        id: &SessionId,
        limit: usize,
        now: Timestamp,
    ) -> Vec<StoredMessage> {
        self.conversation(owner, id, now).map_or_else(Vec::new, |conversation| {
            let skipped = conversation.messages.len().saturating_sub(limit);
            conversation.messages.iter().skip(skipped).cloned().collect()
        })
    }

    pub(super) fn run(&self, owner: &Owner, id: RunId, now: Timestamp) -> Option<&RunRecord> {
        self.live_run(owner, id, now).map(|run| &run.record)
    }

    pub(super) fn run_events(
        &self,
        owner: &Owner,
        id: RunId,
        after: u64,
        now: Timestamp,
    ) -> Vec<LoggedEvent> {
        let events = self.live_run(owner, id, now).map_or(&[][..], |run| &run.events);
        events.iter().filter(|event| event.id > after).map(|event| (**event).clone()).collect()
    }

    /// A run of a session that has expired is gone with it.
    fn live_run(&self, owner: &Owner, id: RunId, now: Timestamp) -> Option<&Run> {
        self.runs.get(&(owner.clone(), id)).filter(|run| {
            let session = run.record.session_id.as_ref();
            let session = session.and_then(|id| self.sessions.get(&(owner.clone(), id.clone())));
            !session.is_some_and(|found| expired(found.session.expires_at, now))
        })
    }

    pub(super) fn create_session(
        &mut self,
        session: Session,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = (session.owner.clone(), session.id.clone());
        self.forget_expired(&key, now);
        if self.sessions.contains_key(&key) {
            return Err(StoreError::Exists);
        }
        self.make_room(session_bytes(&session), None)?;
        self.insert_session(key, session);
        Ok(())
    }

    pub(super) fn delete_session(&mut self, owner: &Owner, id: &SessionId, now: Timestamp) -> bool {
        let key = (owner.clone(), id.clone());
        self.forget_expired(&key, now);
        self.forget_session(&key)
    }

    /// A run that is there already has begun already.
    pub(super) fn begin_run(&mut self, record: RunRecord) -> Result<(), StoreError> {
        if self.runs.contains_key(&(record.owner.clone(), record.id)) {
            return Ok(());
        }
        let run = Run { bytes: run_bytes(&record, &[]), record, events: Vec::new(), kept: false };
        self.make_room(run.bytes, None)?;
        self.insert_run(run);
        Ok(())
    }

    pub(super) fn finish_turn(
        &mut self,
        turn: TurnRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let written_at = rounded(written_at(&turn, now));
        let run = Run {
            bytes: run_bytes(&turn.run, &turn.events),
            kept: turn.session.is_some() && !turn.messages.is_empty(),
            events: turn.events,
            record: turn.run,
        };
        let Some(change) = turn.session else {
            self.make_room(run.bytes, None)?;
            self.insert_run(run);
            return Ok(());
        };
        let key = (change.session.owner.clone(), change.session.id.clone());
        let found = self.session(&key.0, &key.1, now);
        let exists = found.is_some();
        // A session made anew under the name of one that was deleted is another one.
        let meant = found.is_some_and(|it| it.created_at == rounded(change.session.created_at));
        if !meant && !change.create {
            return Err(StoreError::NoSession);
        }
        let added = turn.messages.iter().map(message_bytes).sum::<usize>();
        let session = if exists { 0 } else { session_bytes(&change.session) };
        self.forget_expired(&key, now);
        self.make_room(session + added + run.bytes, exists.then_some(&key))?;
        if !exists {
            self.insert_session(key.clone(), change.session.clone());
        }
        if let Some(conversation) = self.sessions.get_mut(&key) {
            conversation.session.updated_at = rounded(change.session.updated_at);
            conversation.session.expires_at = change.session.expires_at.map(rounded);
            for message in turn.messages {
                conversation.session.message_count += 1;
                conversation.messages.push(StoredMessage {
                    sequence: conversation.session.message_count,
                    run_id: run.record.id,
                    created_at: written_at,
                    message,
                });
            }
            conversation.bytes += added;
            self.bytes += added;
            self.uses += 1;
            self.by_use.remove(&conversation.used);
            conversation.used = self.uses;
            self.by_use.insert(self.uses, key);
        }
        self.insert_run(run);
        Ok(())
    }

    /// Forgets what has expired by `now` and loose runs that ended by `ended_by`; tells how many
    /// sessions that were.
    pub(super) fn sweep(&mut self, now: Timestamp, ended_by: Option<Timestamp>) -> u64 {
        let ended: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(_, conversation)| expired(conversation.session.expires_at, now))
            .map(|(key, _)| key.clone())
            .collect();
        let forgotten = ended.iter().filter(|key| self.forget_session(key)).count();
        while let Some((end, key)) = self.loose.first()
            && ended_by.is_some_and(|ended_by| *end <= rounded(ended_by))
        {
            let key = key.clone();
            self.forget_run(&key);
        }
        forgotten.try_into().unwrap_or(u64::MAX)
    }

    fn insert_session(&mut self, key: SessionKey, session: Session) {
        let bytes = session_bytes(&session);
        self.bytes += bytes;
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        let session = Session {
            created_at: rounded(session.created_at),
            updated_at: rounded(session.updated_at),
            expires_at: session.expires_at.map(rounded),
            message_count: 0,
            ..session
        };
        let conversation = Conversation { session, messages: Vec::new(), bytes, used: self.uses };
        self.sessions.insert(key, conversation);
    }

    fn insert_run(&mut self, mut run: Run) {
        let record = &mut run.record;
        record.started_at = rounded(record.started_at);
        record.finished_at = record.finished_at.map(rounded);
        let key = (record.owner.clone(), record.id);
        self.forget_run(&key);
        self.bytes += run.bytes;
        if let Some(id) = &run.record.session_id {
            self.runs_of.entry((key.0.clone(), id.clone())).or_default().insert(key.1);
        }
        if let Some(end) = run.record.finished_at.filter(|_| !run.kept) {
            self.loose.insert((end, key.clone()));
        }
        self.runs.insert(key, run);
    }

    fn forget_expired(&mut self, key: &SessionKey, now: Timestamp) {
        let found = self.sessions.get(key);
        if found.is_some_and(|found| expired(found.session.expires_at, now)) {
            self.forget_session(key);
        }
    }

    /// The one way in which sessions go: with their messages, runs and events.
    fn forget_session(&mut self, key: &SessionKey) -> bool {
        let Some(conversation) = self.sessions.remove(key) else { return false };
        self.bytes -= conversation.bytes;
        self.by_use.remove(&conversation.used);
        for run in self.runs_of.remove(key).unwrap_or_default() {
            self.forget_run(&(key.0.clone(), run));
        }
        true
    }

    fn forget_run(&mut self, key: &RunKey) {
        let Some(run) = self.runs.remove(key) else { return };
        self.bytes -= run.bytes;
        if let Some(id) = run.record.session_id {
            let session = (key.0.clone(), id);
            if let Some(runs) = self.runs_of.get_mut(&session) {
                runs.remove(&key.1);
                if runs.is_empty() {
                    self.runs_of.remove(&session);
                }
            }
        }
        if let Some(end) = run.record.finished_at {
            self.loose.remove(&(end, key.clone()));
        }
    }

    /// Forgets until so many bytes more fit, but not the session that is about to be used.
    fn make_room(&mut self, bytes: usize, used: Option<&SessionKey>) -> Result<(), StoreError> {
        let held = used
            .and_then(|key| self.sessions.get(key))
            .map_or(0, |conversation| conversation.bytes);
        let max_bytes = self.max_bytes;
        let full = || {
            StoreError::Full(format!(
                "the memory store may take {max_bytes} bytes, and this turn with its session \
                 and the turns at work need more"
            ))
        };
        // Before anything is forgotten in vain.
        if held.saturating_add(bytes) > self.max_bytes {
            return Err(full());
        }
        while self.bytes.saturating_add(bytes) > self.max_bytes {
            if let Some((_, key)) = self.loose.first().cloned() {
                self.forget_run(&key);
            } else if let Some(key) = self.by_use.values().find(|key| Some(*key) != used).cloned() {
                self.forget_session(&key);
            } else {
                return Err(full());
            }
        }
        Ok(())
    }
}

fn session_bytes(session: &Session) -> usize {
    let metadata = session.metadata.iter().map(|(key, value)| key.len() + value.len());
    OVERHEAD + session.agent.len() + metadata.sum::<usize>()
}

fn run_bytes(record: &RunRecord, events: &[Arc<LoggedEvent>]) -> usize {
    let texts = record.agent.len() + record.model.len() + record.pack_digest.len();
    let events = events.iter().map(|event| OVERHEAD / 4 + event_bytes(&event.event));
    OVERHEAD + texts + events.sum::<usize>()
}

fn event_bytes(event: &TurnEvent) -> usize {
    match event {
        TurnEvent::Text { delta } | TurnEvent::Reasoning { delta } => delta.len(),
        TurnEvent::ToolCall { call, .. } => call.arguments.to_string().len(),
        TurnEvent::ToolResult { result } => result.content.to_string().len(),
        TurnEvent::Media { media } => media_bytes(media),
        TurnEvent::Done { text, .. } => text.len(),
        TurnEvent::Failed { message, .. } => message.len(),
        TurnEvent::Started { .. } | TurnEvent::Usage { .. } => 0,
    }
}

fn message_bytes(message: &Message) -> usize {
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text } => text.len(),
        Part::Media(media) => media_bytes(media),
        Part::ToolCall(call) => call.arguments.to_string().len(),
        Part::ToolResult(result) => result.content.to_string().len(),
    });
    OVERHEAD / 2 + parts.sum::<usize>()
}

fn media_bytes(media: &Media) -> usize {
    match &media.source {
        MediaSource::Base64(text) | MediaSource::Url(text) => text.len(),
    }
}
