//! Values by their type: what a text, or a JSON value, is as a double, long, boolean or string.

use std::num::IntErrorKind;

use mainstem_schemas::definition::{Field, FieldType};

use super::fault::{Fault, shown};

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// None.
    Missing,
    /// Of a double.
    Double(f64),
    /// Of a long.
    Long(i64),
    /// Of a boolean.
    Boolean(bool),
    /// Of a string.
    Text(&'a str),
}

/// How missing is written, for a remedy.
#[derive(Clone, Copy)]
pub(crate) enum Missing {
    /// CSV.
    Empty,
    /// JSON.
    Null,
}

impl Missing {
    /// "leave it empty", and how to allow it where the field does not.
    fn remedy(self, field: &Field) -> String {
        let how = match self {
            Missing::Empty => "leave it empty if it is missing",
            Missing::Null => "write null if it is missing",
        };
        if field.optional {
            how.into()
        } else {
            format!("{how} and declare the field `{}?`", name(field.kind))
        }
    }
}

/// A type's word in the project file.
#[must_use]
pub fn name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Double => "double",
        FieldType::Long => "long",
        FieldType::Boolean => "boolean",
        FieldType::String => "string",
    }
}

/// A value of CSV. Spaces around numbers and booleans are nothing.
///
/// # Errors
/// [`Fault`] where the text is no value of the field's type.
pub fn from_text<'a>(field: &Field, text: &'a str) -> Result<Cell<'a>, Fault> {
    if text.is_empty() {
        return Ok(Cell::Missing);
    }
    let trimmed = text.trim_ascii();
    match field.kind {
        FieldType::String => Ok(Cell::Text(text)),
        FieldType::Double => double(field, trimmed, Missing::Empty),
        FieldType::Long => long(field, trimmed),
        FieldType::Boolean => match trimmed {
            "1" => Ok(Cell::Boolean(true)),
            "0" => Ok(Cell::Boolean(false)),
            _ if trimmed.eq_ignore_ascii_case("true") => Ok(Cell::Boolean(true)),
            _ if trimmed.eq_ignore_ascii_case("false") => Ok(Cell::Boolean(false)),
            _ => Err(not_boolean(field, &shown(text))),
        },
    }
}

fn double(field: &Field, text: &str, missing: Missing) -> Result<Cell<'static>, Fault> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Cell::Double(number)),
        // Rust reads `nan`, `inf` and what is beyond the range as such.
        Ok(_) if text.bytes().any(|byte| byte.is_ascii_digit()) => Err(beyond_double(field, text)),
        Ok(_) => Err(not_finite(field, text, missing)),
        Err(_) => Err(not_number(field, &shown(text))),
    }
}

fn long(field: &Field, text: &str) -> Result<Cell<'static>, Fault> {
    let error = match text.parse::<i64>() {
        Ok(long) => return Ok(Cell::Long(long)),
        Err(error) => error,
    };
    if matches!(
        error.kind(),
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow
    ) {
        return Err(beyond_long(field, &shown(text)));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Err(not_whole(field, &shown(text))),
        Ok(_) => Err(not_finite(field, text, Missing::Empty)),
        Err(_) => Err(not_number(field, &shown(text))),
    }
}

/// A float of JSON, which has no others than finite ones.
pub(crate) fn from_float(field: &Field, number: f64) -> Result<Cell<'static>, Fault> {
    match field.kind {
        FieldType::Double => Ok(Cell::Double(number)),
        FieldType::Long if number.fract() == 0.0 && number.abs() >= 2f64.powi(63) => {
            Err(beyond_long(field, &number.to_string()))
        }
        FieldType::Long => Err(not_whole(field, &format!("{number:?}"))),
        FieldType::Boolean => Err(not_boolean(field, &number.to_string())),
        FieldType::String => Err(not_text(field, &number.to_string())),
    }
}

/// A whole number of JSON.
pub(crate) fn from_integer(field: &Field, number: i128) -> Result<Cell<'static>, Fault> {
    match field.kind {
        FieldType::Double => Ok(Cell::Double(number as f64)),
        FieldType::Long => i64::try_from(number)
            .map(Cell::Long)
            .map_err(|_| beyond_long(field, &number.to_string())),
        FieldType::Boolean => Err(not_boolean(field, &number.to_string())),
        FieldType::String => Err(not_text(field, &number.to_string())),
    }
}

/// A boolean of JSON.
pub(crate) fn from_boolean(field: &Field, boolean: bool) -> Result<Cell<'static>, Fault> {
    match field.kind {
        FieldType::Boolean => Ok(Cell::Boolean(boolean)),
        FieldType::Double | FieldType::Long => Err(not_number(field, &boolean.to_string())),
        FieldType::String => Err(not_text(field, &boolean.to_string())),
    }
}

/// A string of JSON.
pub(crate) fn from_string<'a>(field: &Field, text: &'a str) -> Result<Cell<'a>, Fault> {
    match field.kind {
        FieldType::String => Ok(Cell::Text(text)),
        FieldType::Boolean => Err(not_boolean(field, &shown(text))),
        FieldType::Double | FieldType::Long if text.parse::<f64>().is_ok_and(f64::is_finite) => {
            let what = format!(
                "is the text {}, and the field is a {}; write the number without quotes",
                shown(text),
                name(field.kind)
            );
            Err(Fault::field(&field.name, &what))
        }
        FieldType::Double | FieldType::Long if text.parse::<f64>().is_ok() => {
            Err(not_finite(field, text, Missing::Null))
        }
        FieldType::Double | FieldType::Long => Err(not_number(field, &shown(text))),
    }
}

pub(crate) fn not_finite(field: &Field, text: &str, missing: Missing) -> Fault {
    let remedy = missing.remedy(field);
    let what = format!("is {}, and a number must be finite; {remedy}", shown(text));
    Fault::field(&field.name, &what)
}

pub(crate) fn beyond_double(field: &Field, text: &str) -> Fault {
    let what = format!(
        "is {}, beyond 1.8e308, the range of a 64-bit float; scale it, or declare the field string",
        shown(text)
    );
    Fault::field(&field.name, &what)
}

fn not_number(field: &Field, value: &str) -> Fault {
    let what = format!(
        "is {value}, which is no number; write it with digits and a point, as in 12.5, or declare the field string"
    );
    Fault::field(&field.name, &what)
}

fn not_whole(field: &Field, value: &str) -> Fault {
    let what = format!(
        "is {value}, which is no whole number; write it without point and exponent, or declare the field double"
    );
    Fault::field(&field.name, &what)
}

fn beyond_long(field: &Field, value: &str) -> Fault {
    let what = format!(
        "is {value}, outside -9223372036854775808 to 9223372036854775807, the range of a long; declare the field string to keep all digits, or double"
    );
    Fault::field(&field.name, &what)
}

fn not_boolean(field: &Field, value: &str) -> Fault {
    let what = format!(
        "is {value}, which is neither true nor false; write true or false, or declare the field as what it is"
    );
    Fault::field(&field.name, &what)
}

fn not_text(field: &Field, value: &str) -> Fault {
    let what = format!(
        "is {value}, and the field is a string; write it in quotes, or declare the field as what it is"
    );
    Fault::field(&field.name, &what)
}

pub(crate) fn missing(field: &Field) -> Fault {
    let what = format!(
        "is missing and must have a value; write one, or declare the field `{}?`",
        name(field.kind)
    );
    Fault::field(&field.name, &what)
}
