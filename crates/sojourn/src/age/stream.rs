//! The content: chunks of 64 KiB, each sealed with its number and whether it is the last one, so
//! that no chunk can be left out, moved or cut off.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

const CHUNK: usize = 64 << 10;
/// A chunk with its authentication code.
pub const SEALED: usize = CHUNK + 16;

/// The nonce of a chunk: its number in 11 bytes, and 1 for the last chunk.
fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}

/// Encrypts what is written. Without [`Self::finish`] the file is incomplete.
pub struct Encryptor<W> {
    key: LessSafeKey,
    out: W,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> Encryptor<W> {
    pub(super) fn new(key: LessSafeKey, out: W) -> Self {
        Self { key, out, chunk: Vec::with_capacity(SEALED), number: 0 }
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        self.key
            .seal_in_place_append_tag(nonce(self.number, is_last), Aad::empty(), &mut self.chunk)
            .map_err(|_| io::Error::other("a chunk could not be encrypted"))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }

    /// Writes the last chunk.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk is written when another byte comes, because the last one is sealed otherwise.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A chunk that is not full cannot be written before the end.
        Ok(())
    }
}

/// Reads decrypted content. A chunk is returned only after it was verified.
pub struct Decryptor<R> {
    key: LessSafeKey,
    input: BufReader<R>,
    chunk: Vec<u8>,
    /// How much of the chunk was read, and its length.
    read: usize,
    length: usize,
    number: u64,
    is_over: bool,
}

impl<R: Read> Decryptor<R> {
    pub(super) fn new(key: LessSafeKey, input: BufReader<R>) -> Self {
        Self { key, input, chunk: Vec::with_capacity(SEALED), read: 0, length: 0, number: 0, is_over: false }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.input.by_ref().take(SEALED as u64).read_to_end(&mut self.chunk)?;
        let is_last = self.input.fill_buf()?.is_empty();
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is cut off, or was changed");
        let opened = self.key.open_in_place(nonce(self.number, is_last), Aad::empty(), &mut self.chunk);
        self.length = opened.map_err(|_| damaged())?.len();
        // Only a file without content has an empty chunk.
        if self.length == 0 && self.number > 0 {
            return Err(damaged());
        }
        self.read = 0;
        self.number += 1;
        self.is_over = is_last;
        Ok(())
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.length {
            if self.is_over {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let taken = into.len().min(self.length - self.read);
        into[..taken].copy_from_slice(&self.chunk[self.read..self.read + taken]);
        self.read += taken;
        Ok(taken)
    }
}
