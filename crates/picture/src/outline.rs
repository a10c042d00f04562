//! A file's skeleton, read without decoding: size, frames, and whether its end is there.
//!
//! Decoders are made to show what they can of a broken file, and some allocate before they doubt. This
//! walk allocates nothing and is strict: every container says where it ends, so a file that was cut off
//! anywhere is found here. Formats: ISO 10918-1 annex B (JPEG), the PNG, GIF89a and WebP container
//! specifications.

use crate::{Format, PictureError};

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Its format.
    pub format: Format,
    /// Its stored width, in pixels.
    pub width: u32,
    /// Its stored height.
    pub height: u32,
    /// How many frames it holds.
    pub frames: u32,
}

impl Outline {
    /// Reads the outline, from the signature to the end mark.
    ///
    /// # Errors
    /// Where the bytes are of no known format, contradict themselves or end early.
    pub fn read(bytes: &[u8]) -> Result<Self, PictureError> {
        let (format, walk): (_, fn(&mut Bytes<'_>) -> Walked<Self>) = match bytes {
            [] => return Err(PictureError::Empty),
            [0xff, 0xd8, 0xff, ..] => (Format::Jpeg, jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => (Format::Png, png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => (Format::Gif, gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => (Format::Webp, webp),
            _ => return Err(PictureError::Unknown { start: start_of(bytes) }),
        };
        walk(&mut Bytes { rest: bytes }).map_err(|broken| match broken {
            Broken::Ends => PictureError::Truncated { format },
            Broken::Wrong(what) => PictureError::Damaged { format, what: what.to_owned() },
        })
    }
}

/// The first bytes as text where they are text (an HTML page, say), otherwise as numbers.
fn start_of(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(16)];
    match std::str::from_utf8(start) {
        Ok(text) if text.chars().all(|c| !c.is_control() || c.is_whitespace()) => format!("{text:?}"),
        _ => format!("bytes {start:02x?}"),
    }
}

enum Broken {
    /// There should be more.
    Ends,
    /// Something contradicts the format.
    Wrong(&'static str),
}

type Walked<T> = Result<T, Broken>;

struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Walked<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Broken::Ends)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Walked<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Broken::Ends)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Walked<u8> {
        Ok(self.array::<1>()?[0])
    }
}

fn jpeg(bytes: &mut Bytes<'_>) -> Walked<Outline> {
    bytes.take(2)?;
    let (mut size, mut pixels) = (None, false);
    loop {
        match next_marker(bytes)? {
            // A byte stuffed into pixels, a restart among them, or a lone mark: no segment follows.
            0x00 | 0x01 | 0xd0..=0xd7 => {}
            0xd8 => return Err(Broken::Wrong("a second picture starts inside it")),
            0xd9 => break,
            marker => {
                let length = usize::from(u16::from_be_bytes(bytes.array()?));
                let body =
                    bytes.take(length.checked_sub(2).ok_or(Broken::Wrong("a segment has no length"))?)?;
                if marker == 0xda {
                    pixels = true;
                } else if starts_frame(marker) {
                    let [_, h1, h0, w1, w0, ..] = *body else {
                        return Err(Broken::Wrong("the segment with its size is too short"));
                    };
                    let found =
                        (u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0])));
                    if size.replace(found).is_some() {
                        return Err(Broken::Wrong("it has two frame headers"));
                    }
                }
            }
        }
    }
    let (width, height) = size.ok_or(Broken::Wrong("it states no size"))?;
    if !pixels {
        return Err(Broken::Wrong("it has no pixels"));
    }
    Ok(Outline { format: Format::Jpeg, width, height, frames: 1 })
}

/// The code of the next marker: pixels, or stray bytes between segments, are passed over.
fn next_marker(bytes: &mut Bytes<'_>) -> Walked<u8> {
    let place = bytes.rest.iter().position(|&byte| byte == 0xff).ok_or(Broken::Ends)?;
    bytes.take(place + 1)?;
    loop {
        match bytes.byte()? {
            0xff => {}
            code => return Ok(code),
        }
    }
}

/// SOF0 to SOF15 without DHT, JPG and DAC.
fn starts_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

fn png(bytes: &mut Bytes<'_>) -> Walked<Outline> {
    bytes.take(8)?;
    let (mut size, mut frames, mut pixels) = (None, 0_u32, false);
    loop {
        let length = u32::from_be_bytes(bytes.array()?);
        let kind: [u8; 4] = bytes.array()?;
        if length > i32::MAX.unsigned_abs() {
            return Err(Broken::Wrong("a chunk is impossibly long"));
        }
        let body = bytes.take(length as usize)?;
        bytes.take(4)?;
        match (&kind, size) {
            (b"IHDR", None) => {
                let [w3, w2, w1, w0, h3, h2, h1, h0, ..] = *body else {
                    return Err(Broken::Wrong("its header is too short"));
                };
                size = Some((u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0])));
            }
            (b"IHDR", Some(_)) => return Err(Broken::Wrong("it has two headers")),
            (_, None) => return Err(Broken::Wrong("it does not start with its header")),
            (b"IDAT", _) => pixels = true,
            (b"fcTL", _) => frames = frames.saturating_add(1),
            (b"IEND", Some((width, height))) => {
                if !pixels {
                    return Err(Broken::Wrong("it has no pixels"));
                }
                return Ok(Outline { format: Format::Png, width, height, frames: frames.max(1) });
            }
            _ => {}
        }
    }
}

fn gif(bytes: &mut Bytes<'_>) -> Walked<Outline> {
    bytes.take(6)?;
    let [w0, w1, h0, h1, flags, _, _] = bytes.array()?;
    let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
    skip_palette(bytes, flags)?;
    let mut frames = 0_u32;
    loop {
        match bytes.byte()? {
            0x2c => {
                let [x0, x1, y0, y1, w0, w1, h0, h1, flags] = bytes.array()?;
                let right = u32::from(u16::from_le_bytes([x0, x1])) + u32::from(u16::from_le_bytes([w0, w1]));
                let bottom =
                    u32::from(u16::from_le_bytes([y0, y1])) + u32::from(u16::from_le_bytes([h0, h1]));
                if right > u32::from(width) || bottom > u32::from(height) {
                    return Err(Broken::Wrong("a frame lies outside the picture"));
                }
                skip_palette(bytes, flags)?;
                bytes.byte()?;
                skip_blocks(bytes)?;
                frames = frames.saturating_add(1);
            }
            0x21 => {
                bytes.byte()?;
                skip_blocks(bytes)?;
            }
            0x3b => break,
            _ => return Err(Broken::Wrong("a block of unknown kind")),
        }
    }
    Ok(Outline { format: Format::Gif, width: width.into(), height: height.into(), frames })
}

fn skip_palette(bytes: &mut Bytes<'_>, flags: u8) -> Walked<()> {
    if flags & 0x80 != 0 {
        bytes.take(3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

fn skip_blocks(bytes: &mut Bytes<'_>) -> Walked<()> {
    loop {
        match bytes.byte()? {
            0 => return Ok(()),
            length => bytes.take(length.into())?,
        };
    }
}

fn webp(bytes: &mut Bytes<'_>) -> Walked<Outline> {
    bytes.take(4)?;
    let length = u32::from_le_bytes(bytes.array()?) as usize;
    let mut chunks = Bytes { rest: bytes.take(length)? };
    chunks.take(4)?;
    let (mut canvas, mut still, mut frames) = (None, false, 0_u32);
    while !chunks.rest.is_empty() {
        let (kind, body) = webp_chunk(&mut chunks)?;
        match &kind {
            b"VP8X" => {
                let [_, _, _, _, w0, w1, w2, h0, h1, h2, ..] = *body else {
                    return Err(Broken::Wrong("its header is too short"));
                };
                let size = (1 + u24(w0, w1, w2), 1 + u24(h0, h1, h2));
                if canvas.replace(size).is_some() {
                    return Err(Broken::Wrong("it has two headers"));
                }
            }
            b"VP8 " | b"VP8L" => {
                let size = webp_frame_size(kind, body)?;
                if still || frames > 0 || *canvas.get_or_insert(size) != size {
                    return Err(Broken::Wrong("it states two different sizes"));
                }
                still = true;
            }
            b"ANMF" => {
                let (width, height) = canvas.ok_or(Broken::Wrong("a frame comes before the size"))?;
                webp_animation_frame(body, width, height)?;
                frames = frames.saturating_add(1);
            }
            _ => {}
        }
    }
    let (width, height) = canvas.ok_or(Broken::Wrong("it states no size"))?;
    match (still, frames) {
        (true, 0) => Ok(Outline { format: Format::Webp, width, height, frames: 1 }),
        (false, 1..) => Ok(Outline { format: Format::Webp, width, height, frames }),
        _ => Err(Broken::Wrong("it has no pixels")),
    }
}

/// A chunk's name and body; bodies of odd length have a byte of padding after them.
fn webp_chunk<'a>(bytes: &mut Bytes<'a>) -> Walked<([u8; 4], &'a [u8])> {
    let kind = bytes.array()?;
    let length = u32::from_le_bytes(bytes.array()?) as usize;
    let body = bytes.take(length)?;
    // Some writers leave the last padding out.
    bytes.take((length & 1).min(bytes.rest.len()))?;
    Ok((kind, body))
}

fn webp_animation_frame(body: &[u8], width: u32, height: u32) -> Walked<()> {
    let mut body = Bytes { rest: body };
    let [x0, x1, x2, y0, y1, y2, w0, w1, w2, h0, h1, h2] = body.array()?;
    body.take(4)?;
    let size = (1 + u24(w0, w1, w2), 1 + u24(h0, h1, h2));
    if 2 * u24(x0, x1, x2) + size.0 > width || 2 * u24(y0, y1, y2) + size.1 > height {
        return Err(Broken::Wrong("a frame lies outside the picture"));
    }
    while !body.rest.is_empty() {
        let (kind, pixels) = webp_chunk(&mut body)?;
        if matches!(&kind, b"VP8 " | b"VP8L") {
            if webp_frame_size(kind, pixels)? != size {
                return Err(Broken::Wrong("it states two different sizes"));
            }
            return Ok(());
        }
    }
    Err(Broken::Wrong("a frame has no pixels"))
}

fn webp_frame_size(kind: [u8; 4], body: &[u8]) -> Walked<(u32, u32)> {
    if &kind == b"VP8 " {
        let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *body else {
            return Err(Broken::Wrong("a frame's header is too short or has no start code"));
        };
        let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        return Ok((side(w0, w1), side(h0, h1)));
    }
    let [0x2f, b0, b1, b2, b3, ..] = *body else {
        return Err(Broken::Wrong("a frame's header is too short or has no signature"));
    };
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    Ok((1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)))
}

fn u24(low: u8, middle: u8, high: u8) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}
