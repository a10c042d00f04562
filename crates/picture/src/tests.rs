//! Pictures good and bad. The files are made here, so that each says what it is for.

use std::io::Cursor;
use std::sync::LazyLock;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder};
use proptest::prelude::*;

use super::*;

/// A picture with something everywhere, `seed` making it another.
fn pixels(width: u32, height: u32, seed: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let noise = (x * 31 + y * 17 + seed * 101) ^ (x * y);
        Rgba([(noise % 256) as u8, (x * 255 / width) as u8, (y * 255 / height) as u8, 255])
    })
}

fn still(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let picture = DynamicImage::from(pixels(width, height, 1));
    let picture = if format == ImageFormat::Jpeg { DynamicImage::from(picture.to_rgb8()) } else { picture };
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn progressive_jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 80);
    encoder.set_progressive(true);
    encoder.set_restart_interval(3);
    let picture = DynamicImage::from(pixels(width.into(), height.into(), 2)).to_rgb8();
    encoder.encode(picture.as_raw(), width, height, ColorType::Rgb).unwrap();
    out
}

fn animated_gif(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new(&mut out);
    for frame in 0..frames {
        encoder.encode_frame(Frame::new(pixels(width, height, frame))).unwrap();
    }
    drop(encoder);
    out
}

/// The chunk of a lossless WebP that holds its pixels.
fn webp_pixels(width: u32, height: u32) -> Vec<u8> {
    still(ImageFormat::WebP, width, height)[12..].to_vec()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let length = u32::try_from(chunks.len() + 4).unwrap();
    [b"RIFF", &length.to_le_bytes()[..], b"WEBP", chunks].concat()
}

fn webp_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    let padding = &[0][..body.len() % 2];
    [&kind[..], &length.to_le_bytes(), body, padding].concat()
}

fn three_bytes(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}

fn animated_webp(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let (right, bottom) = (three_bytes(width - 1), three_bytes(height - 1));
    let mut chunks = webp_chunk(b"VP8X", &[&[0x02, 0, 0, 0][..], &right, &bottom].concat());
    chunks.extend(webp_chunk(b"ANIM", &[0; 6]));
    for _ in 0..frames {
        let head = [&[0; 6][..], &right, &bottom, &[100, 0, 0, 0]].concat();
        chunks.extend(webp_chunk(b"ANMF", &[head, webp_pixels(width, height)].concat()));
    }
    riff(&chunks)
}

/// CRC-32 as PNG has it, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

fn png_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [&kind[..], body].concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &named, &crc(&named).to_be_bytes()].concat()
}

/// A still PNG (signature and header are its first 33 bytes) with chunks put in after the header.
fn png_with(width: u32, height: u32, chunks: &[u8]) -> Vec<u8> {
    let png = still(ImageFormat::Png, width, height);
    [&png[..33], chunks, &png[33..]].concat()
}

fn animated_png(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let control = |number: u32| {
        let sizes: Vec<u8> =
            [number, width, height, 0, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
        png_chunk(b"fcTL", &[&sizes[..], &[0, 1, 0, 10, 0, 0]].concat())
    };
    let about = [frames.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    let png = png_with(width, height, &[png_chunk(b"acTL", &about), control(0)].concat());
    let first = png.windows(4).position(|four| four == b"IDAT").unwrap();
    let length = u32::from_be_bytes(png[first - 4..first].try_into().unwrap()) as usize;
    let pixels = &png[first + 4..first + 4 + length];
    let (body, end) = png.split_at(png.len() - 12);
    let mut out = body.to_vec();
    for frame in 1..frames {
        out.extend(control(frame * 2 - 1));
        out.extend(png_chunk(b"fdAT", &[&(frame * 2).to_be_bytes()[..], pixels].concat()));
    }
    out.extend_from_slice(end);
    out
}

/// A lossy WebP, and one with transparency: no encoder for these is at hand, so they stand here whole.
const LOSSY_WEBP: &str = "5249464664000000574542505650382058000000d003009d012a180010003eed68ad4da9a6a4a2300801301d896c009d\
    32847737a4806105c5da0000feeed9628a9005dc934e8b65db955b8676b1b2c256192adda65c5aaf4b5996775320638b5d2b3e9a84dc32d3bd7d\
    0000";
const TRANSPARENT_WEBP: &str = "524946469a00000057454250565038580a000000100000001700000f0000414c50481d00000001b98ce87f4069db064c\
    61d9f8ffe1c0c288099800173ab0c1ea1e8101005650382056000000d003009d012a180010003eed68ad4da9a6a4a2300801301d896c009d3284\
    7737a4806105c8e02000feeed9628a9005dc934e8b65db955b8676b1b2c256192adda65c5aaf4b599677531e90006476cf2d6da41d746000";

fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// One of each, small.
fn samples() -> Vec<(&'static str, Vec<u8>, Info)> {
    static MADE: LazyLock<Vec<(&str, Vec<u8>, Info)>> = LazyLock::new(make_samples);
    MADE.clone()
}

fn make_samples() -> Vec<(&'static str, Vec<u8>, Info)> {
    let info = |format, frames| Info { format, width: 24, height: 16, frames };
    vec![
        ("jpeg", still(ImageFormat::Jpeg, 24, 16), info(Format::Jpeg, 1)),
        ("progressive jpeg", progressive_jpeg(24, 16), info(Format::Jpeg, 1)),
        ("png", still(ImageFormat::Png, 24, 16), info(Format::Png, 1)),
        ("animated png", animated_png(24, 16, 3), info(Format::Png, 3)),
        ("webp", still(ImageFormat::WebP, 24, 16), info(Format::Webp, 1)),
        ("lossy webp", from_hex(LOSSY_WEBP), info(Format::Webp, 1)),
        ("transparent webp", from_hex(TRANSPARENT_WEBP), info(Format::Webp, 1)),
        ("animated webp", animated_webp(24, 16, 3), info(Format::Webp, 3)),
        ("gif", still(ImageFormat::Gif, 24, 16), info(Format::Gif, 1)),
        ("animated gif", animated_gif(24, 16, 3), info(Format::Gif, 3)),
    ]
}

#[test]
fn every_format_is_recognised_by_its_bytes() {
    for (name, bytes, info) in samples() {
        assert_eq!(inspect(&bytes, &Limits::default()).unwrap(), info, "{name}");
    }
}

#[test]
fn a_picture_cut_off_anywhere_is_refused() {
    for (name, bytes, _) in samples() {
        for length in 0..bytes.len() {
            let error = inspect(&bytes[..length], &Limits::default()).unwrap_err();
            match error {
                PictureError::Empty => assert_eq!(length, 0),
                PictureError::Unknown { .. } => assert!(length < 12, "{name} of {length} bytes"),
                PictureError::Truncated { .. } => {}
                other => panic!("{name} of {length} bytes: {other}"),
            }
        }
    }
}

#[test]
fn a_huge_picture_is_refused_by_its_header() {
    let side = 30_000_u16;
    let mut png = still(ImageFormat::Png, 24, 16);
    png[16..20].copy_from_slice(&u32::from(side).to_be_bytes());
    png[20..24].copy_from_slice(&u32::from(side).to_be_bytes());
    let mut jpeg = still(ImageFormat::Jpeg, 24, 16);
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
    let mut gif = still(ImageFormat::Gif, 24, 16);
    gif[6..8].copy_from_slice(&side.to_le_bytes());
    gif[8..10].copy_from_slice(&side.to_le_bytes());
    let mut webp = animated_webp(24, 16, 1);
    webp[24..27].copy_from_slice(&three_bytes(u32::from(side) - 1));
    webp[27..30].copy_from_slice(&three_bytes(u32::from(side) - 1));
    for bytes in [png, jpeg, gif, webp] {
        let error = inspect(&bytes, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("too large: 30000×30000 pixels"), "{error}");
    }
}

#[test]
fn every_frame_counts() {
    let limits = Limits { pixels: 24 * 16 * 2, ..Limits::default() };
    for (name, bytes, info) in samples() {
        assert_eq!(inspect(&bytes, &limits).is_ok(), info.frames == 1, "{name}");
        let few = Limits { frames: 2, ..Limits::default() };
        assert_eq!(inspect(&bytes, &few).is_ok(), info.frames == 1, "{name}");
    }
    let many = animated_gif(2, 2, 300);
    let error = inspect(&many, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("300 frame(s)"), "{error}");
}

#[test]
fn what_is_no_picture_is_named() {
    for (bytes, words) in [
        (&b""[..], "0 bytes"),
        (b"<!doctype html><title>x</title>", "it starts with \"<!doctype html><\""),
        (&[0, 1, 2, 3], "bytes [00, 01, 02, 03]"),
        (b"BM6\0\0\0", "not a JPEG, PNG, WebP or GIF image"),
    ] {
        let error = inspect(bytes, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let png = still(ImageFormat::Png, 24, 16);
    let error = inspect(&png, &Limits { bytes: 100, ..Limits::default() }).unwrap_err();
    assert!(error.to_string().ends_with("at most 100 are read"), "{error}");
    let mut damaged = png.clone();
    let middle = png.len() / 2;
    damaged[middle] ^= 0xff;
    assert!(matches!(inspect(&damaged, &Limits::default()), Err(PictureError::Damaged { .. })));
}

#[test]
fn a_display_has_the_canvas_that_was_asked_for_and_nothing_else() {
    let secret = b"parameters\0a cat, Steps: 25, Model: flux1-dev";
    let told = png_with(24, 16, &png_chunk(b"tEXt", secret));
    assert_eq!(inspect(&told, &Limits::default()).unwrap().width, 24);
    let mut pictures: Vec<_> = samples().into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
    pictures.push(("a png with text", told));
    pictures.push(("a line", still(ImageFormat::Png, 2000, 1)));
    pictures.push(("a dot", still(ImageFormat::Png, 1, 1)));
    for (name, bytes) in pictures {
        for (width, height) in [(64, 64), (24, 16), (7, 50), (1, 1)] {
            for (encoding, format) in [(Encoding::WebP, Format::Webp), (Encoding::Jpeg, Format::Jpeg)] {
                let shown = display(&bytes, width, height, encoding).unwrap();
                let info = inspect(&shown, &Limits::default()).unwrap();
                assert_eq!(info, Info { format, width, height, frames: 1 }, "{name}");
                assert_eq!(shown, display(&bytes, width, height, encoding).unwrap(), "{name}");
                assert!(!shown.windows(9).any(|nine| nine == b"flux1-dev"), "{name}");
            }
            // A WebP is one chunk of pixels and nothing beside it.
            let webp = display(&bytes, width, height, Encoding::WebP).unwrap();
            assert_eq!((&webp[8..12], &webp[12..16]), (&b"WEBP"[..], &b"VP8 "[..]), "{name}");
            let shown = display(&bytes, width, height, Encoding::Jpeg).unwrap();
            // Segments up to the pixels: no comment, no application data but the format's own.
            assert_eq!(
                segments(&shown).iter().find(|marker| matches!(marker, 0xe1..=0xef | 0xfe)),
                None,
                "{name}"
            );
        }
    }
}

fn display(bytes: &[u8], width: u32, height: u32, encoding: Encoding) -> Result<Vec<u8>, PictureError> {
    Ok(for_display(bytes, &[(width, height)], encoding, &Limits::default())?.remove(0))
}

#[test]
fn several_sizes_are_what_each_would_be_alone() {
    let bytes = still(ImageFormat::Png, 90, 60);
    let sizes = [(60, 60), (30, 30)];
    for encoding in [Encoding::WebP, Encoding::Jpeg] {
        let together = for_display(&bytes, &sizes, encoding, &Limits::default()).unwrap();
        let alone = sizes.map(|(width, height)| display(&bytes, width, height, encoding).unwrap());
        assert_eq!(together, alone);
    }
}

/// The markers of a JPEG's segments up to its pixels.
fn segments(jpeg: &[u8]) -> Vec<u8> {
    let (mut found, mut place) = (Vec::new(), 2);
    while jpeg[place + 1] != 0xda {
        found.push(jpeg[place + 1]);
        place += 2 + usize::from(u16::from_be_bytes([jpeg[place + 2], jpeg[place + 3]]));
    }
    found
}

fn near(pixel: image::Rgb<u8>, colour: [u8; 3]) -> bool {
    pixel.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 6)
}

fn shown(bytes: &[u8], width: u32, height: u32) -> RgbImage {
    let [jpeg, webp] = [Encoding::Jpeg, Encoding::WebP].map(|encoding| {
        let shown = display(bytes, width, height, encoding).unwrap();
        image::load_from_memory(&shown).unwrap().to_rgb8()
    });
    let apart = jpeg
        .pixels()
        .zip(webp.pixels())
        .map(|(a, b)| a.0.iter().zip(b.0).map(|(a, b)| a.abs_diff(b)).max().unwrap());
    let far = apart.filter(|by| *by > 40).count();
    assert!(far * 20 <= jpeg.len() / 3, "{far} pixels look otherwise as WebP");
    jpeg
}

#[test]
fn a_display_shows_all_of_the_picture_on_the_mat() {
    let red = plain_png(60, 20, [220, 20, 20]).unwrap();
    let wide = shown(&red, 120, 120);
    assert!(near(*wide.get_pixel(60, 10), MAT) && near(*wide.get_pixel(60, 110), MAT));
    assert!(near(*wide.get_pixel(2, 60), [220, 20, 20]) && near(*wide.get_pixel(117, 60), [220, 20, 20]));
    assert!(near(*wide.get_pixel(60, 44), [220, 20, 20]) && near(*wide.get_pixel(60, 75), [220, 20, 20]));
    let full = shown(&red, 60, 20);
    assert!(full.pixels().all(|pixel| near(*pixel, [220, 20, 20])));
}

#[test]
fn transparency_shows_the_mat() {
    let mut out = Cursor::new(Vec::new());
    let picture = RgbaImage::from_fn(32, 32, |x, _| Rgba([250, 250, 250, if x < 16 { 0 } else { 255 }]));
    picture.write_to(&mut out, ImageFormat::Png).unwrap();
    let picture = shown(&out.into_inner(), 32, 32);
    assert!(near(*picture.get_pixel(4, 16), MAT) && near(*picture.get_pixel(28, 16), [250; 3]));
}

#[test]
fn pictures_are_shown_upright() {
    // Red above blue, to be turned a quarter clockwise: blue left of red.
    let pixels: Vec<u8> =
        (0..32 * 64).flat_map(|at| if at < 32 * 32 { [220, 20, 20] } else { [20, 20, 220] }).collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    encoder.add_app_segment(1, exif).unwrap();
    encoder.encode(&pixels, 32, 64, ColorType::Rgb).unwrap();
    let info = inspect(&bytes, &Limits::default()).unwrap();
    assert_eq!((info.width, info.height), (64, 32));
    let picture = shown(&bytes, 64, 32);
    assert!(
        near(*picture.get_pixel(8, 16), [20, 20, 220]) && near(*picture.get_pixel(56, 16), [220, 20, 20])
    );
}

#[test]
fn thumbnails_keep_proportions_and_are_never_enlarged() {
    for (width, height, longest, expected) in [
        (400, 200, 100, (100, 50)),
        (200, 400, 100, (50, 100)),
        (40, 20, 100, (40, 20)),
        (2000, 1, 50, (50, 1)),
    ] {
        let thumb = thumbnail(&still(ImageFormat::Png, width, height), longest, &Limits::default()).unwrap();
        let info = inspect(&thumb, &Limits::default()).unwrap();
        assert_eq!((info.format, (info.width, info.height)), (Format::Jpeg, expected));
    }
}

#[test]
fn an_overview_is_square_and_shows_an_animations_frames() {
    let of = |bytes: &[u8]| {
        let info = inspect(&overview(bytes, 400, &Limits::default()).unwrap(), &Limits::default()).unwrap();
        assert_eq!(info.format, Format::Jpeg);
        (info.width, info.height)
    };
    assert_eq!(of(&still(ImageFormat::Png, 40, 20)), (400, 400), "as large as all others");
    assert_eq!(of(&animated_gif(40, 20, 2)), (400, 400), "two cells in a row of two");
    assert_eq!(of(&animated_gif(40, 20, 5)), (400, 400), "five in rows of three");
    assert_eq!(of(&animated_gif(40, 20, 40)), (400, 400), "sixteen of forty");
    // The last frame is among them: it may be the one that matters.
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for frame in 0..20 {
        let colour = if frame == 19 { [255, 0, 0, 255] } else { [0, 0, 255, 255] };
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(20, 20, Rgba(colour)))).unwrap();
    }
    drop(encoder);
    let sheet =
        image::load_from_memory(&overview(&bytes, 400, &Limits::default()).unwrap()).unwrap().to_rgb8();
    assert!(near(*sheet.get_pixel(350, 350), [255, 0, 0]) && near(*sheet.get_pixel(50, 50), [0, 0, 255]));
    assert!(overview(&bytes, 0, &Limits::default()).is_err());
}

#[test]
fn a_contact_sheet_has_a_cell_for_every_picture_and_gap() {
    let (red, blue) = (plain_png(30, 30, [220, 20, 20]).unwrap(), plain_png(60, 30, [20, 20, 220]).unwrap());
    let rows = vec![
        vec![Some(&red[..]), Some(&blue[..])],
        vec![None, Some(&b"no picture"[..])],
        vec![Some(&blue[..])],
    ];
    let sheet = contact_sheet(&rows, 40, &Limits::default()).unwrap();
    let info = inspect(&sheet, &Limits::default()).unwrap();
    assert_eq!((info.format, info.width, info.height), (Format::Png, 8 + 2 * 48, 8 + 3 * 48));
    let sheet = image::load_from_memory(&sheet).unwrap().to_rgb8();
    let colour = |column: u32, row: u32| sheet.get_pixel(28 + column * 48, 28 + row * 48).0;
    assert_eq!((colour(0, 0), colour(1, 0)), ([220, 20, 20], [20, 20, 220]));
    assert_eq!((colour(0, 1), colour(1, 1)), (MAT, MAT));
    assert_eq!((colour(0, 2), colour(1, 2)), ([20, 20, 220], [255; 3]));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let png = still(ImageFormat::Png, 24, 16);
    for (width, height) in [(0, 10), (10, 0), (9000, 10), (10, u32::MAX)] {
        assert!(matches!(display(&png, width, height, Encoding::WebP), Err(PictureError::Canvas { .. })));
    }
    assert!(thumbnail(&png, 0, &Limits::default()).is_err());
    assert!(contact_sheet(&[], 40, &Limits::default()).is_err());
    assert!(contact_sheet(&[vec![]], 40, &Limits::default()).is_err());
    assert!(contact_sheet(&vec![vec![None; 1000]; 1000], 256, &Limits::default()).is_err());
    assert!(contact_sheet(&[vec![None]], u32::MAX, &Limits::default()).is_err());
    assert!(plain_png(0, 1, MAT).is_err() && plain_png(u32::MAX, u32::MAX, MAT).is_err());
}

/// Small enough that a picture which slips through costs nothing.
fn tight() -> Limits {
    Limits { bytes: 1 << 20, side: 256, pixels: 1 << 16, frames: 16 }
}

/// One reader would take the first, another the second.
#[test]
fn a_jpeg_with_two_frame_headers_is_refused() {
    let bytes = still(ImageFormat::Jpeg, 24, 16);
    let start = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    let length = 2 + usize::from(u16::from_be_bytes([bytes[start + 2], bytes[start + 3]]));
    let twice = [&bytes[..start + length], &bytes[start..]].concat();
    assert!(inspect(&bytes, &tight()).is_ok());
    let said = inspect(&twice, &tight()).unwrap_err().to_string();
    assert!(said.contains("two frame headers"), "{said}");
}

/// zune-jpeg 0.5.15 panics on sampling factors that do not fit each other.
#[test]
fn a_picture_on_which_the_decoder_panics_is_damaged() {
    let bytes = include_bytes!("../../../fuzz/corpus/picture/jpeg-with-odd-sampling");
    let said = inspect(bytes, &tight()).unwrap_err().to_string();
    assert!(said.contains("JPEG image is damaged"), "{said}");
    assert!(frames(bytes, &tight(), |_| true).is_err());
}

#[test]
fn an_animation_that_a_decoder_takes_for_a_still_is_refused() {
    let mut bytes = animated_png(24, 16, 3);
    let place = bytes.windows(4).position(|name| name == b"acTL").unwrap();
    bytes[place + 1] = 0;
    assert!(matches!(inspect(&bytes, &tight()), Err(PictureError::Damaged { .. })));
    assert!(frames(&bytes, &tight(), |_| true).is_err());
}

/// Whatever the bytes are, looking at them ends well; what can be inspected can be shown and screened.
fn look_at(bytes: &[u8]) -> Result<(), TestCaseError> {
    let known = inspect(bytes, &tight());
    let shown = for_display(bytes, &[(16, 16)], Encoding::WebP, &tight());
    let mut seen = 0;
    let screened = frames(bytes, &tight(), |_| {
        seen += 1;
        true
    });
    match known {
        Ok(info) => {
            prop_assert!(shown.is_ok() && screened.is_ok());
            prop_assert_eq!(seen, info.frames);
        }
        // Display takes the first frame alone; a classifier that has not seen all of them has seen none.
        Err(_) => prop_assert!(screened.is_err()),
    }
    Ok(())
}

/// Bytes that begin like a picture.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let starts: [&[u8]; 5] = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\x01\0\0WEBP"];
    (prop::collection::vec(any::<u8>(), 0..512), 0..starts.len())
        .prop_map(move |(bytes, kind)| [starts[kind], &bytes].concat())
}

/// Pictures of every format with a few bytes changed, cut off or not.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let keep = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (0..samples().len(), prop::collection::vec(change, 0..8), keep).prop_map(|(sample, changes, keep)| {
        let mut bytes = samples().swap_remove(sample).1;
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_a_picture_or_an_error(bytes in any_bytes()) {
        look_at(&bytes)?;
    }

    #[test]
    fn damaged_pictures_are_a_picture_or_an_error(bytes in damaged()) {
        look_at(&bytes)?;
    }

    #[test]
    fn every_size_fits_its_canvas(width in 1..200_u32, height in 1..200_u32, w in 1..200_u32, h in 1..200_u32) {
        let png = plain_png(width, height, [1, 2, 3]).unwrap();
        let shown = display(&png, w, h, Encoding::WebP).unwrap();
        let info = inspect(&shown, &Limits::default()).unwrap();
        prop_assert_eq!((info.width, info.height), (w, h));
    }
}
