//! Making a bundle.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{BundleError, END, FORMAT, Head, MOST_LINE_BYTES};
use crate::journal::hex;
use crate::store::{Carried, Reader};

/// How much is compressed: what zstd calls its default.
const LEVEL: i32 = 3;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What is in it.
    pub carried: Carried,
    /// The file's length.
    pub bytes: u64,
    /// The hash in its last line.
    pub sha256: String,
}

/// Writes the bundle of the workflow `name` to the new file `path`: all of it, or only these entities. Where that fails nothing is left.
///
/// # Errors
/// Where there is such a file already, it cannot be written, or the store cannot be read to its end.
pub fn pack(reader: &Reader, (id, name): (i64, &str), keys: Option<&[String]>, path: &Path) -> Result<Written, BundleError> {
    let failed = |cause| BundleError::File { what: "write the bundle", file: path.into(), cause };
    let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    let (high, low) = reader.journal()?;
    let head = Head { workflow: name.to_owned(), journal: purefold_wit::uuid::format(high, low), partial: keys.is_some() };
    let written = written(reader, (id, &head), keys, (path, Hashed::new(BufWriter::new(file))));
    if written.is_err() {
        // What is half a bundle is none.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn written(
    reader: &Reader,
    (id, head): (i64, &Head),
    keys: Option<&[String]>,
    (path, mut out): (&Path, Hashed<BufWriter<std::fs::File>>),
) -> Result<Written, BundleError> {
    let failed = |cause| BundleError::File { what: "write the bundle", file: path.into(), cause };
    out.write_all(FORMAT).map_err(failed)?;
    let mut packed = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
    let (mut bytes, mut rows) = (0, 0_u64);
    let mut line = |text: String| {
        bytes += text.len() as u64 + 1;
        if text.len() as u64 >= MOST_LINE_BYTES {
            let reason = format!("a row of {} bytes, where bundles hold rows of up to {MOST_LINE_BYTES}", text.len());
            return Err(BundleError::Unfit { file: path.into(), reason });
        }
        packed.write_all(text.as_bytes()).and_then(|()| packed.write_all(b"\n")).map_err(failed)
    };
    // Names, numbers and texts: there is nothing that has no JSON form.
    let json = |value: serde_json::Result<String>| value.map_err(|error| failed(error.into()));
    line(json(serde_json::to_string(head))?)?;
    let carried = reader.each_row(id, keys, &mut |table, cells| {
        rows += 1;
        line(json(serde_json::to_string(&(table, cells)))?)
    })?;
    line(json(serde_json::to_string(&(END, [rows])))?)?;
    let mut out = packed.finish().map_err(failed)?;
    out.write_all(format!("\nbytes {bytes:020}\n").as_bytes()).map_err(failed)?;
    let Hashed { mut inner, hash, mut length } = out;
    let sha256 = hex(&hash.finalize());
    let last = format!("sha256 {sha256}\n");
    length += last.len() as u64;
    let flushed = inner.write_all(last.as_bytes()).and_then(|()| inner.into_inner().map_err(io::IntoInnerError::into_error));
    flushed.and_then(|file| file.sync_all()).map_err(failed)?;
    Ok(Written { carried, bytes: length, sha256 })
}

/// What is written goes into a hash too.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    length: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Hashed { inner, hash: Sha256::new(), length: 0 }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
