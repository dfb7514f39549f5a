//! Prints objects: columns for people, the API's own objects for programs.

use serde_json::Value;

use crate::{arguments::Format, error::CliError, terminal::Terminal};

/// A column: its title, and how to read it from an object.
pub type Column = (&'static str, fn(&Value) -> String);

/// Prints a list.
pub fn list(
    terminal: &mut dyn Terminal,
    format: Format,
    items: &[Value],
    columns: &[Column],
) -> Result<(), CliError> {
    match format {
        Format::Table => {
            let mut rows = vec![
                columns
                    .iter()
                    .map(|(title, _)| (*title).to_owned())
                    .collect::<Vec<_>>(),
            ];
            rows.extend(
                items
                    .iter()
                    .map(|item| columns.iter().map(|(_, read)| read(item)).collect()),
            );
            Ok(terminal.print(&table(&rows))?)
        }
        Format::Json | Format::Yaml => object(terminal, format, &Value::Array(items.to_vec())),
    }
}

/// Prints one object as JSON or YAML. A table of one object is the command's business.
pub fn object(terminal: &mut dyn Terminal, format: Format, object: &Value) -> Result<(), CliError> {
    let text = match format {
        Format::Json | Format::Table => {
            serde_json::to_string_pretty(object).map_err(|error| CliError::Output {
                format: "JSON",
                problem: error.to_string(),
            })?
        }
        Format::Yaml => serde_saphyr::to_string(object).map_err(|error| CliError::Output {
            format: "YAML",
            problem: error.to_string(),
        })?,
    };
    Ok(terminal.print(&format!("{}\n", text.trim_end()))?)
}

/// Aligns rows; the last column is as long as it is.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // A terminal must not be told to do things by a name.
            let cell: String = cell
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            line.push_str(&format!("{cell:<width$}   "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A field as text; absent and empty are a dash.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{table, text};

    #[test]
    fn columns_line_up_and_control_characters_are_gone() {
        let rows = [
            vec!["NAME".to_owned(), "X".to_owned()],
            vec!["é\u{1b}[31m".to_owned(), "longer".to_owned()],
        ];
        assert_eq!(table(&rows), "NAME     X\né [31m   longer\n");
    }

    #[test]
    fn absent_fields_are_dashes() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!(""), "-"),
            (json!(3), "3"),
            (json!(true), "yes"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
