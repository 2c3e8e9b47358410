//! How settings are declared, read and described: one declaration gives the type, its default, its reader and its
//! documentation.
//!
//! The readers do not stop at the first mistake as a derived deserialiser would: an operator who made five gets to hear
//! of five. What a whole configuration must fulfil beyond single values stands in `rules`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::name::HostName;
use super::problem::{Place, Problem, Severity};

/// Anything that can stand in the file: a value, a section, or a table of either with host names as keys.
pub(super) trait Setting: Sized + PartialEq {
    /// What it looks like in the file.
    fn describe() -> Description;
    /// Reads it; tells `reader` what is wrong with it.
    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self>;
    /// The value as TOML; nothing for sections, tables and values that are not set.
    fn write(&self) -> Option<String>;
    /// Notes in `keys` which settings are not what they are in `other`.
    fn differences(&self, other: &Self, key: &str, keys: &mut Vec<String>) {
        if self != other {
            keys.push(key.to_owned());
        }
    }
}

/// What a setting looks like in the file.
#[derive(Debug, Clone)]
pub(super) enum Description {
    /// What stands on the right of `=`, in words.
    Value(String),
    /// A section with a closed list of settings.
    Section(Vec<Field>),
    /// A table whose keys are host names.
    Hosts(Box<Description>),
}

/// One setting or section inside another.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its name in the file.
    pub(super) name: &'static str,
    /// Its doc comment, line by line.
    pub(super) doc: &'static [&'static str],
    /// What it looks like.
    pub(super) description: Description,
    /// Its default as TOML; absent when it has none.
    pub(super) default: Option<String>,
    /// What the example file shows instead of the default: a value, or the key of a table.
    pub(super) shown: Option<&'static str>,
}

/// Reads one file and collects what is wrong with it.
pub(super) struct Reader<'t> {
    text: &'t str,
    base: PathBuf,
    places: BTreeMap<String, Place>,
    found: Vec<Problem>,
    known: Vec<(String, &'static str)>,
}

impl<'t> Reader<'t> {
    /// A reader of `text`; relative paths in it start at `base`; `whole` describes all that may be in it.
    pub(super) fn new(text: &'t str, base: &Path, whole: &Description) -> Reader<'t> {
        let mut known = Vec::new();
        collect_names(whole, "", &mut known);
        Reader {
            text,
            base: base.to_path_buf(),
            places: BTreeMap::new(),
            found: Vec::new(),
            known,
        }
    }

    /// What was found, and where the settings stand.
    pub(super) fn finish(self) -> (Places, Vec<Problem>) {
        (Places(self.places), self.found)
    }

    /// A path of the file: relative ones start where the file is.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.base.join(written)
    }

    /// Notes a mistake in the value of `key`, at `span`.
    pub(super) fn wrong(
        &mut self,
        span: Range<usize>,
        key: &str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let place = Some(self.place(span.start));
        self.found.push(Problem {
            severity: Severity::Error,
            key: key.to_owned(),
            place,
            message: message.into(),
            advice: advice.into(),
        });
    }

    /// The entries of a section, or a note that `value` is none.
    pub(super) fn table<'v, 'i>(
        &mut self,
        value: &'v Spanned<DeValue<'i>>,
        key: &str,
    ) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let message = format!("is a section and cannot be {}", kind_of(value.get_ref()));
            self.wrong(
                value.span(),
                key,
                message,
                format!("Write [{key}] on a line of its own and its settings below."),
            );
        }
        table
    }

    /// Notes where `key` stands.
    pub(super) fn saw(&mut self, key: &str, span: Range<usize>) {
        let place = self.place(span.start);
        self.places.insert(key.to_owned(), place);
    }

    /// Notes every entry of `table` that is not among `names`.
    pub(super) fn refuse_unknown(&mut self, table: &DeTable<'_>, section: &str, names: &[&'static str]) {
        for name in table.keys() {
            let written: &str = name.get_ref();
            if names.contains(&written) {
                continue;
            }
            let advice = self.suggest(written, section, names);
            self.wrong(
                name.span(),
                &join(section, written),
                "there is no such setting",
                advice,
            );
        }
    }

    /// The most likely meaning of an unknown name: a slip of the pen first, a setting in the wrong section second.
    fn suggest(&self, written: &str, section: &str, names: &[&'static str]) -> String {
        if let Some(near) = nearest(written, names.iter().copied()) {
            return format!("Did you mean \"{near}\"?");
        }
        let elsewhere: BTreeSet<&str> = self
            .known
            .iter()
            .filter(|(_, name)| *name == written)
            .map(|(section, _)| section.as_str())
            .collect();
        if !elsewhere.is_empty() {
            let places: Vec<String> = elsewhere.into_iter().map(heading).collect();
            return format!("\"{written}\" belongs {}.", places.join(" or "));
        }
        if section.is_empty() {
            return format!("The file may contain: {}.", names.join(", "));
        }
        format!("[{section}] may contain: {}.", names.join(", "))
    }

    fn place(&self, offset: usize) -> Place {
        place_of(self.text, offset)
    }
}

/// Where the settings of a file stand, for what is found wrong after reading.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Places {
    /// Where `key` stands, or the nearest section around it that is written in the file.
    pub(super) fn of(&self, key: &str) -> Option<Place> {
        if let Some(place) = self.0.get(key) {
            return Some(*place);
        }
        let parent = parent_of(key)?;
        self.of(parent)
    }

    /// True when the file itself says something about `key`.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// The line and column of a byte offset.
pub(super) fn place_of(text: &str, offset: usize) -> Place {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
    }
}

/// The name among `names` that `written` is most likely a slip of, if any is near enough.
pub(super) fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let written = written.to_lowercase().replace('-', "_");
    let slips_max = (written.chars().count() / 3).clamp(1, 3);
    names
        .map(|name| (strsim::osa_distance(&written, name), name))
        .filter(|(slips, name)| *slips <= slips_max && *slips < name.len())
        .min()
        .map(|(_, name)| name)
}

/// `section.name`, or the name alone at the top; a name that is no bare TOML key is quoted.
pub(super) fn join(section: &str, name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let name = if bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if section.is_empty() {
        name
    } else {
        format!("{section}.{name}")
    }
}

/// What kind of value stands in the file, in words.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A table whose keys are local or remote domains; two spellings of one domain are a mistake.
impl<S: Setting> Setting for BTreeMap<HostName, S> {
    fn describe() -> Description {
        Description::Hosts(Box::new(S::describe()))
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let table = reader.table(value, key)?;
        let mut read = BTreeMap::new();
        for (name, value) in table {
            let host = match HostName::new(name.get_ref()) {
                Ok(host) => host,
                Err(message) => {
                    let advice = "Write a domain such as \"montague.lit\"; one with dots stands in quotes.";
                    reader.wrong(name.span(), &join(key, name.get_ref()), message, advice);
                    continue;
                }
            };
            let entry = join(key, host.as_str());
            reader.saw(&entry, name.span());
            let Some(setting) = S::read(value, &entry, reader) else {
                continue;
            };
            if read.insert(host, setting).is_some() {
                let advice = "Keep one of them: upper and lower case, and a final dot, make no difference.";
                reader.wrong(name.span(), &entry, "this domain is here twice", advice);
            }
        }
        Some(read)
    }

    fn write(&self) -> Option<String> {
        None
    }

    fn differences(&self, other: &Self, key: &str, keys: &mut Vec<String>) {
        for (host, setting) in self {
            let entry = join(key, host.as_str());
            match other.get(host) {
                Some(counterpart) => setting.differences(counterpart, &entry, keys),
                None => keys.push(entry),
            }
        }
        let only_there = other.keys().filter(|host| !self.contains_key(host));
        keys.extend(only_there.map(|host| join(key, host.as_str())));
    }
}

/// Declares a section: the struct, its defaults, its reader and its description.
///
/// Each setting is `/// documentation`, `name: Type = default`, then optionally `shown "…"` (what the example file shows
/// instead of the default), and a semicolon.
macro_rules! section {
    (
        $(#[doc = $section_doc:expr])*
        pub struct $section:ident {
            $(
                $(#[doc = $doc:expr])*
                $name:ident : $type:ty = $default:expr $(, shown $shown:literal)? ;
            )*
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $section {
            $( $(#[doc = $doc])* pub $name: $type, )*
        }

        impl Default for $section {
            fn default() -> Self {
                $section { $( $name: $default, )* }
            }
        }

        impl $crate::config::schema::Setting for $section {
            fn describe() -> $crate::config::schema::Description {
                let defaults = $section::default();
                $crate::config::schema::Description::Section(vec![
                    $( $crate::config::schema::Field {
                        name: stringify!($name),
                        doc: &[$($doc),*],
                        description: <$type as $crate::config::schema::Setting>::describe(),
                        default: $crate::config::schema::Setting::write(&defaults.$name),
                        shown: $crate::config::schema::section!(@shown $($shown)?),
                    }, )*
                ])
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                key: &str,
                reader: &mut $crate::config::schema::Reader<'_>,
            ) -> Option<Self> {
                let table = reader.table(value, key)?;
                reader.refuse_unknown(table, key, &[$( stringify!($name) ),*]);
                let mut section = $section::default();
                $(
                    if let Some((name, value)) = table.get_key_value(stringify!($name)) {
                        let entry = $crate::config::schema::join(key, stringify!($name));
                        reader.saw(&entry, name.span());
                        if let Some(read) = <$type as $crate::config::schema::Setting>::read(value, &entry, reader) {
                            section.$name = read;
                        }
                    }
                )*
                Some(section)
            }

            fn write(&self) -> Option<String> {
                None
            }

            fn differences(&self, other: &Self, key: &str, keys: &mut Vec<String>) {
                $(
                    let entry = $crate::config::schema::join(key, stringify!($name));
                    $crate::config::schema::Setting::differences(&self.$name, &other.$name, &entry, keys);
                )*
            }
        }
    };
    (@shown) => { None };
    (@shown $shown:literal) => { Some($shown) };
}
pub(crate) use section;

/// Shows every single setting with its full name; the keys of tables are called `"DOMAIN"`.
#[cfg(test)]
pub(super) fn visit(description: &Description, section: &str, see: &mut impl FnMut(&str, &Field)) {
    match description {
        Description::Value(_) => {}
        Description::Section(fields) => {
            for field in fields {
                let key = join(section, field.name);
                match &field.description {
                    Description::Value(_) => see(&key, field),
                    Description::Hosts(of) if matches!(**of, Description::Value(_)) => see(&key, field),
                    Description::Section(_) | Description::Hosts(_) => visit(&field.description, &key, see),
                }
            }
        }
        Description::Hosts(of) => visit(of, &format!("{section}.\"DOMAIN\""), see),
    }
}

fn collect_names(description: &Description, section: &str, names: &mut Vec<(String, &'static str)>) {
    match description {
        Description::Value(_) => {}
        Description::Section(fields) => {
            for field in fields {
                names.push((section.to_owned(), field.name));
                collect_names(&field.description, &join(section, field.name), names);
            }
        }
        Description::Hosts(of) => collect_names(of, &format!("{section}.\"DOMAIN\""), names),
    }
}

fn heading(section: &str) -> String {
    if section.is_empty() {
        "at the top of the file, before any section".to_owned()
    } else {
        format!("to [{section}]")
    }
}

/// The section that holds `key`; dots inside quotes belong to a name.
fn parent_of(key: &str) -> Option<&str> {
    let mut quoted = false;
    let mut last_dot = None;
    for (at, character) in key.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '.' if !quoted => last_dot = Some(at),
            _ => {}
        }
    }
    key.get(..last_dot?)
}
