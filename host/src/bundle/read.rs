//! Taking a bundle: first whether it is as it was written and by whom, then what it holds, row by row.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{BundleError, END, FORMAT, HASH_BYTES, Head, MOST_LINE_BYTES, TAIL_BYTES, costs};
use crate::deploy::Compiler;
use crate::journal::hex;
use crate::signing::{self, SIGNATURE_SUFFIX, Signed, TrustedKey};
use crate::store::{CarriedRow, Cell, Filling};

/// What the bundle may take, whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that it may unpack to.
    pub bytes: u64,
    /// Units of fuel that one decision of it may take when it is made again.
    pub fuel: u64,
}

impl Default for Bounds {
    /// 64 GiB, and twenty times what a manifest grants that does not say.
    fn default() -> Self {
        Bounds { bytes: 64 << 30, fuel: 1_000_000_000 }
    }
}

/// Bytes that are hashed together.
const HASHED_TOGETHER: usize = 64 << 10;

/// Memory that unpacking may take, as a power of two: what zstd's own program allows.
const WINDOW_LOG_MOST: u32 = 27;

/// A bundle that is as it was written.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    file: File,
    /// Bytes of the zstd stream.
    packed: u64,
    /// Bytes of the JSON lines.
    bytes: u64,
    bounds: Bounds,
    /// Who signed it, where that was asked for.
    pub signed: Option<Signed>,
}

impl Opened {
    /// Checks the bundle at `path` as a whole: its hash, that it unpacks to no more than it may, and, where there are `keys`, that one
    /// of them signed it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(path: &Path, keys: &[TrustedKey], bounds: Bounds) -> Result<Self, BundleError> {
        let failed = |cause| BundleError::File { what: "read the bundle", file: path.into(), cause };
        let altered = |reason: &str| BundleError::Altered { file: path.into(), reason: reason.into() };
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut begin = Vec::new();
        (&mut file).take(FORMAT.len() as u64).read_to_end(&mut begin).map_err(failed)?;
        if begin != FORMAT {
            return Err(BundleError::NotOne(path.into()));
        }
        let packed = length.checked_sub(FORMAT.len() as u64 + TAIL_BYTES).ok_or_else(|| altered("its end is missing"))?;
        let sum = hash_of(&mut file, length - HASH_BYTES).map_err(failed)?;
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(length - TAIL_BYTES)).map_err(failed)?;
        (&mut file).take(TAIL_BYTES).read_to_end(&mut tail).map_err(failed)?;
        let tail = String::from_utf8(tail).map_err(|_| altered("its end is missing"))?;
        let (counted, told) = tail.split_once("sha256 ").ok_or_else(|| altered("its end is missing"))?;
        if told != format!("{sum}\n") {
            return Err(altered("its bytes have another hash than its last line says"));
        }
        let digits = counted.strip_prefix("\nbytes ").and_then(|rest| rest.strip_suffix('\n')).and_then(|digits| digits.parse().ok());
        let bytes: u64 = digits.ok_or_else(|| altered("its end is missing"))?;
        if bytes > bounds.bytes {
            return Err(BundleError::TooLarge { file: path.into(), bytes, most: bounds.bytes });
        }
        let signed = if keys.is_empty() { None } else { Some(signature(path, &mut file, keys)?) };
        Ok(Opened { path: path.into(), file, packed, bytes, bounds, signed })
    }

    /// Fills a new store at `store` with what it holds.
    ///
    /// # Errors
    /// Where its rows are not those of a store of this version, or the store cannot be made.
    pub fn fill(mut self, store: &Path) -> Result<Head, BundleError> {
        let path = self.path.clone();
        let failed = |cause| BundleError::File { what: "unpack the bundle", file: path.clone(), cause };
        let unfit = |reason: String| BundleError::Unfit { file: path.clone(), reason };
        self.file.seek(SeekFrom::Start(FORMAT.len() as u64)).map_err(failed)?;
        let mut decoder = zstd::Decoder::new(self.file.take(self.packed)).map_err(failed)?;
        decoder.window_log_max(WINDOW_LOG_MOST).map_err(failed)?;
        // One more than it says: what unpacks to more is noticed.
        let mut lines = BufReader::new(decoder.take(self.bytes.saturating_add(1)));
        let mut line = Vec::new();
        let mut seen = 0;
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            let read = (&mut lines)
                .take(MOST_LINE_BYTES)
                .read_until(b'\n', line)
                .map_err(|cause| unfit(format!("it does not unpack: {cause}")))?;
            seen += read as u64;
            match line.pop() {
                Some(b'\n') => Ok(seen),
                _ => Err(unfit("a line of it is too long, or has no end".into())),
            }
        };
        next(&mut line)?;
        let head: Head =
            serde_json::from_slice(&line).map_err(|error| unfit(format!("its first line is not what it should be: {error}")))?;
        let journal = purefold_wit::uuid::parse(&head.journal).ok_or_else(|| unfit("the id of its journal is none".into()))?;
        let mut filling = Filling::new(store, journal)?;
        let mut rows = 0_u64;
        let all = loop {
            let seen = next(&mut line)?;
            let CarriedRow(table, cells) =
                serde_json::from_slice(&line).map_err(|error| unfit(format!("row {rows} of it is none: {error}")))?;
            if table == END {
                if cells != [Cell::Int(rows.cast_signed())] {
                    return Err(unfit(format!("it holds {rows} rows, and says otherwise")));
                }
                break seen;
            }
            costs::check(&table, &cells, self.bounds).map_err(unfit)?;
            filling.put(&table, &cells).map_err(|error| BundleError::of_row(&path, error))?;
            rows += 1;
        };
        if all != self.bytes || !lines.fill_buf().map_err(failed)?.is_empty() {
            return Err(unfit(format!("it unpacks to other than the {} bytes that it says", self.bytes)));
        }
        filling.finish(journal)?;
        Ok(head)
    }
}

/// Checks a bundle, fills a new store with it, and has its components compiled in processes of their own: whatever executes them later
/// finds the results in the cache.
///
/// # Errors
/// As [`Opened::check`] and [`Opened::fill`], and where a component cannot be compiled within the limits.
pub fn unpack(
    path: &Path,
    keys: &[TrustedKey],
    bounds: Bounds,
    store: &Path,
    compiler: &Compiler,
) -> Result<(Head, Option<Signed>), BundleError> {
    let mut opened = Opened::check(path, keys, bounds)?;
    let signed = opened.signed.take();
    let head = opened.fill(store)?;
    costs::compile(store, &head.workflow, compiler)?.map_err(|reason| BundleError::Unfit { file: path.into(), reason })?;
    Ok((head, signed))
}

/// SHA-256 of the first so many bytes.
fn hash_of(file: &mut File, length: u64) -> std::io::Result<String> {
    file.rewind()?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; HASHED_TOGETHER]);
    let mut rest = file.take(length);
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn signature(path: &Path, file: &mut File, keys: &[TrustedKey]) -> Result<Signed, BundleError> {
    let beside = PathBuf::from(format!("{}{SIGNATURE_SUFFIX}", path.display()));
    let mut text = String::new();
    match File::open(&beside).and_then(|beside| beside.take(signing::MOST_BYTES).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(BundleError::Unsigned(path.into())),
        Err(cause) => return Err(BundleError::File { what: "read the signature", file: beside, cause }),
    }
    file.rewind().map_err(|cause| BundleError::File { what: "read the bundle", file: path.into(), cause })?;
    signing::check_all_of(file, &text, keys).map_err(|reason| BundleError::Signature { file: path.into(), reason })
}
