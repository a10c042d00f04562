//! From rows of cells to Arrow record batches.
//!
//! An image's bytes are not copied on the way: its column views the buffers it was given.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Int64Builder, ListBuilder, NullBufferBuilder, StringBuilder,
    StructArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::record_batch::RecordBatch;

use crate::TableError;
use crate::features::{Column, Features, Kind, fields, image_fields, list_element};

/// An image of a row: embedded, named, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// The encoded bytes as they came.
    pub bytes: Option<Bytes>,
    /// Its file name or path.
    pub path: Option<String>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A text.
    Text(String),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Microseconds since 1970, UTC.
    Time(i64),
    /// An image.
    Image(Image),
    /// A list of texts.
    Texts(Vec<String>),
    /// The parts of a group, in its order.
    Group(Vec<Cell>),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

/// One row: a cell for each column, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Cell>);

impl Row {
    /// How many bytes of values it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.iter().map(size).sum()
    }
}

/// Collects rows into record batches.
#[derive(Debug)]
pub struct Rows {
    features: Features,
    builders: Vec<Builder>,
    rows: usize,
}

impl Rows {
    /// No rows yet.
    #[must_use]
    pub fn new(features: &Features) -> Self {
        let builders = features.columns().iter().map(|column| Builder::new(&column.kind)).collect();
        Self { features: features.clone(), builders, rows: 0 }
    }

    /// How many rows stand here since the last batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Where the cells are not those of the columns; nothing of the row is then taken.
    pub fn push(&mut self, row: impl Into<Row>) -> Result<(), TableError> {
        let Row(cells) = row.into();
        fits(self.features.columns(), &cells)?;
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            builder.push(cell)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows since the last batch, as a batch.
    ///
    /// # Errors
    /// Where Arrow refuses them.
    pub fn take(&mut self) -> Result<RecordBatch, TableError> {
        self.rows = 0;
        let arrays = self.builders.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(self.features.schema(), arrays)?)
    }
}

fn fits(columns: &[Column], cells: &[Cell]) -> Result<(), TableError> {
    if columns.len() != cells.len() {
        return Err(TableError::Misfit(format!("{} cells for {} columns", cells.len(), columns.len())));
    }
    for (column, cell) in columns.iter().zip(cells) {
        match (&column.kind, cell) {
            (_, Cell::Null)
            | (Kind::Text, Cell::Text(_))
            | (Kind::Int, Cell::Int(_))
            | (Kind::Bool, Cell::Bool(_))
            | (Kind::Time, Cell::Time(_))
            | (Kind::Image, Cell::Image(_))
            | (Kind::Texts, Cell::Texts(_)) => {}
            (Kind::Group(parts), Cell::Group(cells)) => fits(parts, cells)?,
            (kind, _) => {
                return Err(TableError::Misfit(format!("column `{}` holds {kind:?}", column.name)));
            }
        }
    }
    Ok(())
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Null => 0,
        Cell::Text(text) => text.len(),
        Cell::Int(_) | Cell::Time(_) => 8,
        Cell::Bool(_) => 1,
        Cell::Image(image) => {
            image.bytes.as_ref().map_or(0, Bytes::len) + image.path.as_ref().map_or(0, String::len)
        }
        Cell::Texts(texts) => texts.iter().map(String::len).sum(),
        Cell::Group(cells) => cells.iter().map(size).sum(),
    }
}

/// Small values are copied into a shared block: a view for each would keep its whole buffer alive.
const COPIED: usize = 1 << 10;

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Image { bytes: BinaryViewBuilder, path: StringBuilder, valid: NullBufferBuilder },
    Texts(ListBuilder<StringBuilder>),
    Group { columns: Vec<Column>, parts: Vec<Builder>, valid: NullBufferBuilder },
}

impl Builder {
    fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Image => Self::Image {
                bytes: BinaryViewBuilder::new(),
                path: StringBuilder::new(),
                valid: NullBufferBuilder::new(0),
            },
            Kind::Texts => Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(list_element())),
            Kind::Group(columns) => Self::Group {
                columns: columns.clone(),
                parts: columns.iter().map(|column| Self::new(&column.kind)).collect(),
                valid: NullBufferBuilder::new(0),
            },
        }
    }

    /// The cell has been found to fit; whatever else comes is a null.
    fn push(&mut self, cell: Cell) -> Result<(), TableError> {
        match self {
            Self::Text(builder) => match cell {
                Cell::Text(text) => builder.append_value(text),
                _ => builder.append_null(),
            },
            Self::Int(builder) => match cell {
                Cell::Int(value) => builder.append_value(value),
                _ => builder.append_null(),
            },
            Self::Bool(builder) => match cell {
                Cell::Bool(value) => builder.append_value(value),
                _ => builder.append_null(),
            },
            Self::Time(builder) => match cell {
                Cell::Time(value) => builder.append_value(value),
                _ => builder.append_null(),
            },
            Self::Image { bytes, path, valid } => {
                let image = if let Cell::Image(image) = cell {
                    valid.append_non_null();
                    image
                } else {
                    valid.append_null();
                    Image::default()
                };
                match image.bytes {
                    Some(value) if value.len() > COPIED => append_shared(bytes, value)?,
                    Some(value) => bytes.try_append_value(value)?,
                    None => bytes.append_null(),
                }
                path.append_option(image.path);
            }
            Self::Texts(builder) => match cell {
                Cell::Texts(texts) => builder.append_value(texts.into_iter().map(Some)),
                _ => builder.append_null(),
            },
            Self::Group { parts, valid, .. } => {
                if let Cell::Group(cells) = cell {
                    for (part, cell) in parts.iter_mut().zip(cells) {
                        part.push(cell)?;
                    }
                    valid.append_non_null();
                } else {
                    for part in parts {
                        part.push(Cell::Null)?;
                    }
                    valid.append_null();
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, TableError> {
        Ok(match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Image { bytes, path, valid } => {
                let parts: Vec<ArrayRef> = vec![Arc::new(bytes.finish()), Arc::new(path.finish())];
                Arc::new(StructArray::try_new(image_fields(), parts, valid.finish())?)
            }
            Self::Texts(builder) => Arc::new(builder.finish()),
            Self::Group { columns, parts, valid } => {
                let arrays = parts.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(fields(columns), arrays, valid.finish())?)
            }
        })
    }
}

/// Takes an image's buffer over as it is.
fn append_shared(builder: &mut BinaryViewBuilder, value: Bytes) -> Result<(), TableError> {
    let length = u32::try_from(value.len())
        .ok()
        .filter(|length| *length < u32::MAX)
        .ok_or_else(|| TableError::Misfit("an image of 4 GiB or more".to_owned()))?;
    let block = builder.append_block(Buffer::from(value));
    builder.try_append_view(block, 0, length)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn image_bytes_are_shared_and_nulls_stay_null() {
        let features = Features::new(vec![Column::new("image", Kind::Image)]).unwrap();
        let mut rows = Rows::new(&features);
        let bytes = Bytes::from(vec![7_u8; 5000]);
        let at = bytes.as_ptr();
        rows.push(Row(vec![Cell::Image(Image { bytes: Some(bytes), path: Some("a.jpg".into()) })])).unwrap();
        rows.push(Row(vec![Cell::Null])).unwrap();
        rows.push(Row(vec![Cell::Image(Image { bytes: Some(Bytes::from_static(b"ab")), path: None })]))
            .unwrap();
        let batch = rows.take().unwrap();
        let images = batch.column(0).as_struct();
        assert!(images.is_null(1));
        let bytes = images.column(0).as_binary_view();
        assert_eq!(bytes.value(0).as_ptr(), at);
        assert_eq!(bytes.value(2), b"ab");
        assert!(rows.is_empty());
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused_whole() {
        let features =
            Features::new(vec![Column::new("a", Kind::Text), Column::new("b", Kind::Int)]).unwrap();
        let mut rows = Rows::new(&features);
        let error = rows.push(Row(vec![Cell::Text("x".into()), Cell::Text("y".into())])).unwrap_err();
        assert!(error.to_string().contains("column `b`"), "{error}");
        assert!(rows.push(Row(vec![Cell::Null])).is_err());
        rows.push(Row(vec![Cell::Null, Cell::Int(1)])).unwrap();
        assert_eq!(rows.take().unwrap().num_rows(), 1);
    }
}
