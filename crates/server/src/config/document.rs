//! Writes the example file and the reference out of the declarations, so that neither can fall behind them.

use std::fmt::Write;

use super::schema::{Description, Field, Setting, join};
use super::sections::Configuration;

/// The documented example: every setting with its default, or with an example where a default says nothing.
pub fn example() -> String {
    let mut out = String::from(EXAMPLE_HEAD);
    if let Description::Section(fields) = Configuration::describe() {
        example_settings(&fields, "", &mut out);
    }
    out
}

/// The reference for people, in Markdown.
pub fn reference() -> String {
    let mut out = String::from(REFERENCE_HEAD);
    if let Description::Section(fields) = Configuration::describe() {
        reference_settings(&fields, "", &mut out);
    }
    out
}

const EXAMPLE_HEAD: &str = "\
# Every setting of Balcony, with its default or an example, for the domain montague.lit.
#
# A file of your own needs only what differs: one section [hosts.\"your.domain\"] with a certificate, and whatever you
# want to be otherwise. `balcony check --config FILE` tells all that is wrong with a file. Relative paths start where the
# file is; no password stands in it.
#
# Times are written \"500ms\", \"120s\", \"5m\", \"12h\", \"1d\"; numbers of bytes \"256KiB\", \"4MiB\"; rates \"6/1m\" (six in one
# minute) or \"off\". This file is made from the program and tested with it.
";

const REFERENCE_HEAD: &str = "\
# Configuration

Balcony reads one file in [TOML](https://toml.io): the one named with `--config`, else the one named by the environment
variable `BALCONY_CONFIG`, else `./balcony.toml`, else `/etc/balcony/balcony.toml`. Unknown settings are mistakes, so that
a slip of the pen is not silently ignored; `balcony check` tells everything that is wrong with a file at once, with the
line and what to do. Relative paths start where the file is. Secrets stand in files of their own.

The shortest useful file:

```toml
data_dir = \"/var/lib/balcony\"

[hosts.\"montague.lit\"]
certificate = \"/etc/balcony/montague.lit.pem\"
key = \"/etc/balcony/montague.lit.key\"
```

`config/balcony.toml` shows every setting. This page is made from the program and tested with it.
";

fn example_settings(fields: &[Field], section: &str, out: &mut String) {
    for field in fields {
        let key = join(section, field.name);
        match &field.description {
            Description::Value(_) => {
                out.push('\n');
                comment(field, out);
                let value = field.shown.or(field.default.as_deref()).unwrap_or_default();
                let _ = writeln!(out, "{} = {value}", field.name);
            }
            Description::Section(fields) => {
                let _ = write!(out, "\n\n");
                comment(field, out);
                let _ = writeln!(out, "[{key}]");
                example_settings(fields, &key, out);
            }
            Description::Hosts(of) => {
                let shown = field.shown.unwrap_or_default();
                let _ = write!(out, "\n\n");
                comment(field, out);
                match of.as_ref() {
                    Description::Value(_) => {
                        let _ = writeln!(out, "[{key}]\n{shown}");
                    }
                    Description::Section(fields) => {
                        let key = join(&key, shown);
                        let _ = writeln!(out, "[{key}]");
                        example_settings(fields, &key, out);
                    }
                    Description::Hosts(_) => {}
                }
            }
        }
    }
}

fn comment(field: &Field, out: &mut String) {
    for line in field.doc {
        let _ = writeln!(out, "#{line}");
    }
}

fn reference_settings(fields: &[Field], section: &str, out: &mut String) {
    for field in fields {
        let key = join(section, field.name);
        match &field.description {
            Description::Value(form) => {
                let _ = write!(out, "\n### `{key}`\n\n{}", paragraph(field));
                let _ = write!(out, "\n{}.", capitalised(form));
                match &field.default {
                    Some(default) => {
                        let _ = writeln!(out, " Default: `{default}`.");
                    }
                    None => {
                        let shown = field.shown.unwrap_or_default();
                        let _ = writeln!(out, " Not set by default; for example `{shown}`.");
                    }
                }
            }
            Description::Section(fields) => {
                let _ = write!(out, "\n## `[{key}]`\n\n{}", paragraph(field));
                reference_settings(fields, &key, out);
            }
            Description::Hosts(of) => match of.as_ref() {
                Description::Value(form) => {
                    let _ = write!(out, "\n## `[{key}]`\n\n{}", paragraph(field));
                    let shown = field.shown.unwrap_or_default();
                    let _ = writeln!(out, "\nEach key is a domain, each value {form}: `{shown}`.");
                }
                Description::Section(fields) => {
                    let _ = write!(out, "\n## `[{key}.\"DOMAIN\"]`\n\n{}", paragraph(field));
                    reference_settings(fields, &format!("{key}.\"DOMAIN\""), out);
                }
                Description::Hosts(_) => {}
            },
        }
    }
}

fn paragraph(field: &Field) -> String {
    let mut text = String::new();
    for line in field.doc {
        let _ = writeln!(text, "{}", line.trim());
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(characters).collect()
    })
}
