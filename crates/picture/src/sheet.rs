//! Many pictures on one page, to look over a run at a glance.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use crate::display::fitted;
use crate::{Limits, MAT, PictureError, decode};

/// Pixels between cells.
const GAP: u32 = 8;

/// The most pixels of a sheet: beyond, viewers choke.
const MOST_PIXELS: u64 = 100_000_000;

/// A PNG with a row for each row of pictures, each fitted into a square cell; a missing or broken
/// picture leaves its cell empty. What the rows are is said beside the sheet, which has no text.
///
/// # Errors
/// Where there is no cell at all, or the sheet would have more than 100 million pixels.
pub fn contact_sheet(
    rows: &[Vec<Option<&[u8]>>],
    cell: u32,
    limits: &Limits,
) -> Result<Vec<u8>, PictureError> {
    let across = rows.iter().map(Vec::len).max().unwrap_or(0);
    let side =
        |cells: usize| u32::try_from(cells).ok()?.checked_mul(cell.checked_add(GAP)?)?.checked_add(GAP);
    let (width, height) = match (side(across), side(rows.len())) {
        (Some(width), Some(height)) if cell > 0 && across > 0 => (width, height),
        _ => (0, 0),
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MOST_PIXELS {
        return Err(PictureError::Encode {
            what: format!(
                "a contact sheet of {} rows, {across} columns and {cell} pixels a cell is empty or too large",
                rows.len()
            ),
        });
    }
    let mut sheet = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    let mut top = GAP;
    for row in rows {
        let mut left = GAP;
        for picture in row {
            let shown = match picture.map(|bytes| decode(bytes, limits)) {
                Some(Ok(picture)) => fitted(picture, cell, cell),
                Some(Err(_)) | None => RgbImage::from_pixel(cell, cell, image::Rgb(MAT)),
            };
            image::imageops::replace(&mut sheet, &shown, left.into(), top.into());
            left += cell + GAP;
        }
        top += cell + GAP;
    }
    png(&sheet)
}

/// A PNG of one colour: a stand-in where any picture will do.
///
/// # Errors
/// Where a side is 0 or the picture would have more than 100 million pixels.
pub fn plain_png(width: u32, height: u32, colour: [u8; 3]) -> Result<Vec<u8>, PictureError> {
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(PictureError::Canvas { width, height, most: 10_000 });
    }
    png(&RgbImage::from_pixel(width, height, image::Rgb(colour)))
}

fn png(picture: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let mut out = Cursor::new(Vec::new());
    picture
        .write_to(&mut out, ImageFormat::Png)
        .map_err(|error| PictureError::Encode { what: error.to_string() })?;
    Ok(out.into_inner())
}
