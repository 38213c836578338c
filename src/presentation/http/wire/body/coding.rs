//! Bodies that were compressed for their way here (RFC 9110, section 8.4).

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::presentation::http::wire::held::HeldBytes;
use crate::presentation::http::wire::problem::Problem;

/// How a body was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The names of those that are understood, as `Accept-Encoding` has them.
const UNDERSTOOD: &str = "gzip, deflate, br, zstd";

/// A body that is said to be compressed more often than this is meant to keep a server busy.
const MOST_CODINGS: usize = 2;

/// The largest window that a body may ask for, as a power of two of bytes (RFC 9659).
const LARGEST_ZSTD_WINDOW: u32 = 23;

/// Other requests have their turn each time that so many bytes are decoded.
const BYTES_A_TURN: usize = 256 * 1024;

/// In the order in which they were applied.
///
/// # Errors
/// 415 for one that is not known.
pub fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Problem> {
    let mut codings = Vec::new();
    // What was packed for one hop only was packed last.
    for line in headers.get_all(CONTENT_ENCODING).iter().chain(headers.get_all(TRANSFER_ENCODING)) {
        let line = line.to_str().map_err(|_| unknown())?;
        for name in line.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.to_ascii_lowercase().as_str() {
                // Chunks are put together where the connection is read.
                "identity" | "chunked" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                _ => return Err(unknown()),
            }
        }
    }
    if codings.len() > MOST_CODINGS { Err(unknown()) } else { Ok(codings) }
}

fn unknown() -> Problem {
    Problem::unsupported_content_encoding(UNDERSTOOD)
}

/// What was compressed, if it has no more than `limit` bytes at any step. `held` grows with it.
///
/// # Errors
/// 413 when it has more, 400 when it was not compressed so, 503 when there is no room for it.
pub async fn decoded(body: Bytes, codings: &[Coding], limit: usize, held: &mut HeldBytes) -> Result<Bytes, Problem> {
    let mut body = body;
    for coding in codings.iter().rev() {
        let compressed = body.as_ref();
        let mut room = Room { held, limit, compressed: compressed.len() };
        body = match coding {
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(compressed);
                // One after the other are one (RFC 1952).
                decoder.multiple_members(true);
                read(decoder, &mut room, "gzip").await?
            }
            Coding::Deflate if is_zlib(compressed) => read(ZlibDecoder::new(compressed), &mut room, "deflate").await?,
            // Some leave out the wrapping that the standard asks for.
            Coding::Deflate => read(DeflateDecoder::new(compressed), &mut room, "deflate").await?,
            Coding::Brotli => read(BrotliDecoder::new(compressed), &mut room, "br").await?,
            Coding::Zstd => {
                let mut decoder =
                    ZstdDecoder::with_params(compressed, &[DParameter::window_log_max(LARGEST_ZSTD_WINDOW)]);
                decoder.multiple_members(true);
                read(decoder, &mut room, "zstd").await?
            }
        };
    }
    Ok(body)
}

/// Where a body is decompressed to, beside what it was.
struct Room<'h> {
    held: &'h mut HeldBytes,
    limit: usize,
    compressed: usize,
}

async fn read(mut decoder: impl AsyncRead + Unpin, room: &mut Room<'_>, coding: &str) -> Result<Bytes, Problem> {
    let (mut decoded, mut turn_ends) = (Vec::new(), BYTES_A_TURN);
    loop {
        match decoder.read_buf(&mut decoded).await {
            Ok(0) => return Ok(decoded.into()),
            Ok(_) if decoded.len() > room.limit => return Err(Problem::body_too_large(room.limit)),
            Ok(_) if !room.held.resize(room.compressed + decoded.capacity()) => return Err(Problem::too_many_bodies()),
            Ok(_) if decoded.len() >= turn_ends => {
                turn_ends = decoded.len() + BYTES_A_TURN;
                tokio::task::yield_now().await;
            }
            Ok(_) => {}
            Err(error) => {
                let detail = format!("The body is not {coding}, as Content-Encoding says: {error}.");
                return Err(Problem::malformed_json(detail));
            }
        }
    }
}

/// RFC 1950, section 2.2.
fn is_zlib(bytes: &[u8]) -> bool {
    let &[method, flags, ..] = bytes else { return false };
    method & 0x0f == 8 && (u16::from(method) << 8 | u16::from(flags)) % 31 == 0
}
