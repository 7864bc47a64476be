#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::journal::{hex, sha256};
use crate::sandbox::Limits;

/// A file that is a bundle as far as its ends go, of these lines.
fn sealed(path: &Path, lines: &str, claimed: u64) {
    let mut bytes = FORMAT.to_vec();
    bytes.extend(zstd::encode_all(lines.as_bytes(), 3).unwrap());
    bytes.extend(format!("\nbytes {claimed:020}\n").into_bytes());
    let hash = hex(&sha256(&bytes));
    bytes.extend(format!("sha256 {hash}\n").into_bytes());
    std::fs::write(path, bytes).unwrap();
}

const HEAD: &str = r#"{"workflow":"w","journal":"7e570000-0000-4000-8000-000000000001","partial":false}"#;

/// Why a bundle of these lines is refused, which says that it unpacks to `more` bytes more than it does.
fn refused(lines: &str, more: i64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (file, store) = (folder.path().join("b"), folder.path().join("s.db"));
    sealed(&file, lines, (lines.len() as u64).checked_add_signed(more).unwrap());
    let error = Opened::check(&file, &[], Bounds::default()).and_then(|opened| opened.fill(&store)).unwrap_err();
    assert!(error.is_wrong_input(), "{error}");
    error.to_string()
}

#[test]
fn the_ends_are_as_long_as_they_are_said_to_be() {
    let hash = hex(&sha256(b""));
    assert_eq!(format!("\nbytes {:020}\nsha256 {hash}\n", 1).len() as u64, TAIL_BYTES);
}

#[test]
fn what_is_whole_and_hostile_is_refused_with_the_reason() {
    let whole = format!("{HEAD}\n[\"end\",[0]]\n");
    for (lines, more, reason) in [
        (&*whole, 1, "unpacks to other than"),
        (&whole, -1, "unpacks to other than"),
        (&format!("{whole}more\n"), 0, "unpacks to other than"),
        (HEAD, 0, "no end"),
        (&format!("{HEAD}\n"), 0, "no end"),
        ("{}\n", 0, "first line"),
        (&format!("{HEAD}\n[\"end\",[3]]\n"), 0, "says otherwise"),
        (&format!("{HEAD}\n[\"sqlite_master\",[1]]\n"), 0, "no such table"),
        (&format!("{HEAD}\n[\"events\",[1]]\n"), 0, "2 columns"),
        (&format!("{HEAD}\n[\"events\",[1,\"text\"]]\n"), 0, "cannot be taken"),
        (&format!("{HEAD}\n[\"events\",[1,{{\"base64\":\"?\"}}]]\n"), 0, "no Base64"),
        (&format!("{HEAD}\nnothing\n"), 0, "row 0"),
        (&format!("{HEAD}\n[\"events\",[1,{{\"other\":[1,2]}}]]\n"), 0, "missing field"),
        (&format!("{HEAD}\n[\"events\",[1,{{\"base64\":\"\",\"more\":1}}]]\n"), 0, "more than `base64`"),
        (&format!("{HEAD}\n[\"events\",[1,[1]]]\n"), 0, "invalid type"),
        (&format!("{HEAD}\n[\"events\",[1,1.5]]\n"), 0, "invalid type"),
        (&format!("{HEAD}\n[\"events\",[1,18446744073709551615]]\n"), 0, "out of range"),
        (&format!("{HEAD}\n[\"profiles\",[1,\"{}\"]]\n", Limits::MOST.semantic_profile()), 0, "--most-fuel"),
        (&format!("{HEAD}\n[\"manifests\",[\"d\",\"[limits]\\nfuel = 2000000000\"]]\n"), 0, "--most-fuel"),
        (&format!("{HEAD}\n[\"manifests\",[\"d\",\"{}\"]]\n", "#".repeat(2 << 20)), 0, "a manifest in it has"),
    ] {
        let told = refused(lines, more);
        assert!(told.contains(reason), "{lines:?}: {told}");
    }
}

#[test]
fn no_more_values_and_rows_are_kept_than_a_store_has() {
    // Ten million values of a row would take thirty times the bytes that tell them.
    let many = format!("{HEAD}\n[\"events\",[{}1]]\n", "0,".repeat(10_000_000));
    assert!(refused(&many, 0).contains("more than 32 values"));
    let profiles: String = (0..2000).map(|id| format!("[\"profiles\",[{id},\"text {id}\"]]\n")).collect();
    assert!(refused(&format!("{HEAD}\n{profiles}[\"end\",[2000]]\n"), 0).contains("more than 1024 rows"));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let (file, store) = (folder.path().join("b"), folder.path().join("s.db"));
    sealed(&file, "", 1 << 50);
    assert!(matches!(Opened::check(&file, &[], Bounds::default()).unwrap_err(), BundleError::TooLarge { .. }));
    // One that says less than it unpacks to ends where it has said so: one line of a gigabyte.
    let mut bytes = FORMAT.to_vec();
    bytes.extend(zstd::encode_all(std::io::Read::take(std::io::repeat(b'x'), 1 << 30), 1).unwrap());
    bytes.extend(b"\nbytes 00000000000000000010\n");
    let hash = hex(&sha256(&bytes));
    bytes.extend(format!("sha256 {hash}\n").into_bytes());
    std::fs::write(&file, bytes).unwrap();
    let error = Opened::check(&file, &[], Bounds::default()).unwrap().fill(&store).unwrap_err().to_string();
    assert!(error.contains("no end"), "{error}");
    assert!(!store.exists());
}

#[test]
fn no_byte_can_be_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b");
    let lines = format!("{HEAD}\n[\"end\",[0]]\n");
    sealed(&file, &lines, lines.len() as u64);
    let whole = std::fs::read(&file).unwrap();
    assert!(Opened::check(&file, &[], Bounds::default()).is_ok());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut other = whole.clone();
            other[at] ^= 1 << bit;
            std::fs::write(&file, &other).unwrap();
            assert!(Opened::check(&file, &[], Bounds::default()).is_err(), "bit {bit} of byte {at}");
        }
        std::fs::write(&file, &whole[..at]).unwrap();
        assert!(Opened::check(&file, &[], Bounds::default()).is_err(), "cut off at {at}");
    }
}
