//! Bytes made worse: the mutations that find most in parsers, drawn from a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Inputs do not grow past this.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// Pieces that parsers stumble over.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"0.1e-400",
    b"NaN",
    b"\"NaN\"",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3\x28",
    b"\xf0\x9f\x92\xa9",
    b"9999-12-31T23:59:59.999999Z",
    b"0000-00-00T00:00:00Z",
    b"+24:00",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"${",
    b"${HOME}",
    b"'''",
    b"\"\"\"",
    b"=",
    b"\n",
    b"\r",
    b"\0asm",
    b"\x01\0\0\0",
    b"\x0d\0\x01\0",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"#",
    b"[[",
    b"\t",
];

/// Makes hostile inputs of good ones.
pub struct Mutator {
    rng: StdRng,
}

impl Mutator {
    /// From a seed: the same seed gives the same inputs.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Mutator { rng: StdRng::seed_from_u64(seed) }
    }

    /// One of `seeds`, changed in one to eight places. Without seeds nothing but pieces.
    pub fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = if seeds.is_empty() { Vec::new() } else { seeds[self.rng.random_range(0..seeds.len())].clone() };
        for _ in 0..self.rng.random_range(1..=8) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        self.rng.random_range(0..=bytes.len())
    }

    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.place(bytes);
        let most = (bytes.len() - start).min(if self.rng.random_ratio(1, 4) { 4096 } else { 16 });
        start..start + self.rng.random_range(0..=most)
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        match self.rng.random_range(0..9) {
            0 if !bytes.is_empty() => {
                let place = self.rng.random_range(0..bytes.len());
                bytes[place] ^= 1 << self.rng.random_range(0..8);
            }
            1 if !bytes.is_empty() => {
                let place = self.rng.random_range(0..bytes.len());
                bytes[place] = self.rng.random();
            }
            2 => {
                let range = self.range(bytes);
                bytes.drain(range);
            }
            3 => {
                let range = self.range(bytes);
                let copy = bytes[range].to_vec();
                let place = self.place(bytes);
                bytes.splice(place..place, copy);
            }
            4 | 5 => {
                let piece = PIECES[self.rng.random_range(0..PIECES.len())];
                let place = self.place(bytes);
                bytes.splice(place..place, piece.iter().copied());
            }
            6 => {
                let piece = PIECES[self.rng.random_range(0..PIECES.len())];
                let range = self.range(bytes);
                bytes.splice(range, piece.iter().copied());
            }
            7 if !seeds.is_empty() => {
                let other = &seeds[self.rng.random_range(0..seeds.len())];
                let part = other[self.range(other)].to_vec();
                let range = self.range(bytes);
                bytes.splice(range, part);
            }
            _ => {
                // Deep, or long: one piece again and again.
                let piece = PIECES[self.rng.random_range(0..PIECES.len())];
                let times = self.rng.random_range(1..400);
                let place = self.place(bytes);
                bytes.splice(place..place, piece.iter().copied().cycle().take(piece.len() * times));
            }
        }
    }
}
