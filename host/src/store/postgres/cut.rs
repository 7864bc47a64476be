//! Connections that are cut around COMMIT: whatever the moment, each batch stands once.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use crate::store::trial::{Prompt, Trial};
use crate::store::{Batch, EntityRow, EntryRow, Location, Store, StoreError, Writer};

/// What becomes of the next COMMIT that passes.
const PASSES: u8 = 0;
/// The server never sees it.
const LOST: u8 = 1;
/// The server does it, and its answer is lost.
const UNANSWERED: u8 = 2;
/// The connection ends while it is on its way: any other number.
const WAYS: u64 = 4;

/// Stands between a client and the server, and cuts connections.
struct Proxy {
    port: u16,
    next: Arc<AtomicU8>,
    cuts: Arc<AtomicU32>,
}

impl Proxy {
    fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (next, cuts) = (Arc::new(AtomicU8::new(PASSES)), Arc::new(AtomicU32::new(0)));
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), next: next.clone(), cuts: cuts.clone() };
        let server = server.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                // Answers, until they are lost.
                std::thread::spawn(move || copy(back.0, back.1));
                let (next, cuts) = (next.clone(), cuts.clone());
                std::thread::spawn(move || forward(client, server, &next, &cuts));
            }
        });
        proxy
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 65536];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn forward(mut client: TcpStream, mut server: TcpStream, next: &AtomicU8, cuts: &AtomicU32) {
    let mut bytes = [0; 65536];
    while let Ok(count) = client.read(&mut bytes) {
        let what = &bytes[..count];
        let commits = what.windows(7).any(|part| part == b"COMMIT\0");
        let then = if commits { next.swap(PASSES, Ordering::SeqCst) } else { PASSES };
        cuts.fetch_add(u32::from(then != PASSES), Ordering::SeqCst);
        if then == UNANSWERED {
            let _ = client.shutdown(Shutdown::Write);
        }
        if count == 0 || then == LOST || server.write_all(what).is_err() {
            break;
        }
        if then == UNANSWERED {
            // Long enough that it is done.
            std::thread::sleep(Duration::from_millis(100));
        }
        if then != PASSES {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

fn batch(workflow: i64, number: u64) -> Batch {
    let row = i64::try_from(number).unwrap();
    let hash = |number: u64| crate::journal::sha256(&number.to_be_bytes());
    let (expected_head_row, expected_head) = if number == 1 { (0, [0; 32]) } else { (row - 1, hash(number - 1)) };
    let entity = EntityRow {
        id: 1,
        workflow,
        key: "a".into(),
        sequence: number,
        ordinal: 0,
        now: 0,
        head: hash(number),
        head_row: row,
        state_row: None,
        parked: false,
        expected_head_row,
        expected_head,
    };
    let entry = crate::journal::Entry {
        sequence: number,
        ordinal: 0,
        kind: crate::journal::Kind::Decided,
        release: 1,
        now: 0,
        event_id: "e".into(),
        correlation_id: "c".into(),
        input: b"{}".to_vec().into(),
        verdict: None,
        state: None,
        output: b"[]".to_vec().into(),
        event_hash: None,
    };
    let entry = EntryRow { row, entity: 1, previous_row: expected_head_row, profile: 1, hash: hash(number), entry, event: None };
    Batch { number, entities: vec![entity], entries: vec![entry], ..Batch::default() }
}

/// Commits as the engine's writer does: again and again, while it may pass. Gives how often.
fn commit(writer: &mut Writer, batch: &Batch) -> u32 {
    for attempt in 1..100 {
        match writer.commit(batch) {
            Ok(()) => return attempt,
            Err(error) => assert!(error.is_passing(), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    unreachable!("the server is there");
}

/// A store in which the first batch of a workflow is committed.
fn begun(location: &Location) -> (Store, Writer, i64) {
    let store = Store::open(location, None, (1, 2)).unwrap();
    let mut writer = store.writer().unwrap();
    let workflow = writer.workflow("w").unwrap();
    commit(&mut writer, &batch(workflow, 1));
    (store, writer, workflow)
}

#[test]
fn a_commit_whose_answer_is_lost_stands_once() {
    let direct = Trial::postgres();
    let proxy = Proxy::before(&direct.server());
    let (store, mut writer, workflow) = begun(&direct.through(proxy.port));
    let prompt = Prompt::at(&direct.location);
    let mut attempts = [0; 4];
    for number in 2..=61 {
        let what = u8::try_from(number % WAYS).unwrap();
        proxy.next.store(what, Ordering::SeqCst);
        attempts[usize::from(what)] += commit(&mut writer, &batch(workflow, number));
        let stands: (u64, u64) = prompt.row("SELECT count(*), max(sequence) FROM journal", |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(stands, (number, number), "after {number}, cut in the way {what}");
    }
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), 45);
    assert_eq!(attempts[usize::from(PASSES)], 15, "nothing is tried again that was answered");
    assert_eq!(
        (attempts[usize::from(LOST)], attempts[usize::from(UNANSWERED)]),
        (30, 30),
        "what was lost is found out at the next attempt"
    );
    let tally = store.reader().unwrap().tally(workflow).unwrap().unwrap();
    assert_eq!((tally.entities, tally.entries), (1, 61));
}

#[test]
fn batches_that_were_sent_ahead_stand_once_and_in_order() {
    let direct = Trial::postgres();
    let proxy = Proxy::before(&direct.server());
    let (store, mut writer, workflow) = begun(&direct.through(proxy.port));
    let prompt = Prompt::at(&direct.location);
    let mut attempts = [0; 4];
    for number in (2..=81).step_by(2) {
        let (first, second) = (batch(workflow, number), batch(workflow, number + 1));
        let what = u8::try_from(number / 2 % WAYS).unwrap();
        let cuts_first = number % 3 == 0;
        if cuts_first {
            proxy.next.store(what, Ordering::SeqCst);
        }
        writer.send(&first);
        if !cuts_first {
            proxy.next.store(what, Ordering::SeqCst);
        }
        writer.send(&second);
        assert!(writer.answered().is_some(), "something is on its way");
        attempts[usize::from(what)] += commit(&mut writer, &first);
        let stands: (u64, u64) = prompt.row("SELECT count(*), max(sequence) FROM journal", |row| Ok((row.get(0)?, row.get(1)?)));
        assert!(stands == (number, number) || stands == (number + 1, number + 1), "after {number}, cut in the way {what}: {stands:?}");
        attempts[usize::from(what)] += commit(&mut writer, &second);
        assert!(writer.answered().is_none(), "nothing is on its way");
        let stands: u64 = prompt.row("SELECT count(*) FROM journal", |row| row.get(0));
        assert_eq!(stands, number + 1, "after {number}, cut in the way {what}");
    }
    assert_eq!(proxy.cuts.load(Ordering::SeqCst), 30);
    assert_eq!(attempts[usize::from(PASSES)], 20, "nothing is tried again that was answered");
    let tally = store.reader().unwrap().tally(workflow).unwrap().unwrap();
    assert_eq!((tally.entities, tally.entries), (1, 81));
}

#[test]
fn what_was_sent_behind_a_commit_that_fails_does_not_stand() {
    let trial = Trial::postgres();
    let (_store, mut writer, workflow) = begun(&trial.location);
    let prompt = Prompt::at(&trial.location);
    prompt.execute("UPDATE entities SET head_row = 9", &[]);
    let (mut first, second) = (batch(workflow, 2), batch(workflow, 3));
    // Enough that rows are copied: what is copied behind a statement that fails is not taken either.
    first.entries.extend((10..14).flat_map(|number| batch(workflow, number).entries));
    writer.send(&first);
    writer.send(&second);
    let error = writer.commit(&first).unwrap_err();
    assert!(matches!(error, StoreError::Overtaken { .. }), "{error}");
    assert!(writer.answered().is_none(), "nothing is waited for any more");
    assert_eq!(prompt.row("SELECT count(*) FROM journal", |row| row.get::<u64>(0)), 1);
    // As it was before: the same writer goes on.
    prompt.execute("UPDATE entities SET head_row = 1", &[]);
    writer.send(&first);
    writer.send(&second);
    assert_eq!((commit(&mut writer, &first), commit(&mut writer, &second)), (1, 1));
    assert_eq!(prompt.row("SELECT count(*) FROM journal", |row| row.get::<u64>(0)), 7);
}

#[test]
fn a_host_that_another_took_over_from_commits_nothing_more() {
    let trial = Trial::postgres();
    let first = Store::open(&trial.location, None, (1, 2)).unwrap();
    let mut late = first.writer().unwrap();
    let workflow = late.workflow("w").unwrap();
    commit(&mut late, &batch(workflow, 1));
    assert!(matches!(Store::open(&trial.location, None, (1, 2)), Err(StoreError::Taken { .. })), "it is held");
    // As if its connections were lost without its noticing.
    let prompt = Prompt::at(&trial.location);
    prompt.execute("UPDATE hosts SET epoch = epoch + 1", &[]);
    let error = late.commit(&batch(workflow, 2)).unwrap_err();
    assert!(matches!(error, StoreError::Overtaken { .. }), "{error}");
    assert!(error.to_string().contains("is over"), "{error}");
    assert_eq!(prompt.row("SELECT count(*) FROM journal", |row| row.get::<u64>(0)), 1);
    drop((late, first));
    let next = Store::open(&trial.location, None, (9, 9)).unwrap();
    assert_eq!(next.journal(), (1, 2), "it is the same journal");
    commit(&mut next.writer().unwrap(), &batch(workflow, 2));
    drop(next);
    let other = Store::open(&trial.location, Some((5, 5)), (0, 0)).err().unwrap();
    assert!(matches!(other, StoreError::OtherJournal { .. }), "{other}");
}
