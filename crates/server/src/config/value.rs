//! How values are read and written: those that are texts, plain numbers and truth values, lists, and words to choose
//! from. The single kinds of texts stand in `amount`, `name` and `location`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::amount::Rate;
use super::location::{DnsServer, HttpPath, Network, Origin, RouteTarget, WebEndpoint, WebSite};
use super::name::{AccountName, HostName};
use super::schema::{Description, Reader, Setting, kind_of};

/// Something that can be switched off by writing `"off"` in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrOff<T> {
    /// It is in force, like this.
    On(T),
    /// It is switched off.
    Off,
}

impl<T> OrOff<T> {
    /// What is in force, if it is.
    pub fn on(&self) -> Option<&T> {
        match self {
            OrOff::On(value) => Some(value),
            OrOff::Off => None,
        }
    }
}

/// A value that is written as a text, or can be.
pub(super) trait Textual: Sized {
    /// In words, with an example.
    const FORM: &'static str;
    /// Reads it; the error completes the sentence "… ".
    fn from_text(text: &str) -> Result<Self, String>;
    fn to_text(&self) -> String;
    /// What to write instead, where that is not simply the form.
    fn advice() -> String {
        format!("Write {}.", Self::FORM)
    }
}

macro_rules! setting_by_text {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn describe() -> Description {
                Description::Value(<$type as Textual>::FORM.to_owned())
            }

            fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
                let Some(text) = value.get_ref().as_str() else {
                    let message = format!("cannot be {}", kind_of(value.get_ref()));
                    reader.wrong(value.span(), key, message, <$type as Textual>::advice());
                    return None;
                };
                <$type as Textual>::from_text(text)
                    .map_err(|message| reader.wrong(value.span(), key, message, <$type as Textual>::advice()))
                    .ok()
            }

            fn write(&self) -> Option<String> {
                Some(quote(&self.to_text()))
            }
        }
    )* };
}

setting_by_text!(
    Duration,
    Rate,
    HostName,
    AccountName,
    Network,
    SocketAddr,
    RouteTarget,
    DnsServer,
    HttpPath,
    Origin,
    WebEndpoint,
    WebSite
);

impl Setting for bool {
    fn describe() -> Description {
        Description::Value("true or false".to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            let message = format!("cannot be {}", kind_of(value.get_ref()));
            reader.wrong(value.span(), key, message, "Write true or false, without quotes.");
        }
        read
    }

    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! setting_by_number {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn describe() -> Description {
                Description::Value("a whole number".to_owned())
            }

            fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
                let advice = format!("Write a whole number from 0 to {}, without quotes.", <$type>::MAX.min(1_000_000_000 as $type));
                let Some(number) = value.get_ref().as_integer() else {
                    reader.wrong(value.span(), key, format!("cannot be {}", kind_of(value.get_ref())), advice);
                    return None;
                };
                let read = <$type>::from_str_radix(number.as_str(), number.radix()).ok();
                let read = read.filter(|read| *read <= 1_000_000_000 as $type);
                if read.is_none() {
                    reader.wrong(value.span(), key, format!("{number} is out of range"), advice);
                }
                read
            }

            fn write(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}

setting_by_number!(usize, u32);

impl Setting for PathBuf {
    fn describe() -> Description {
        Description::Value("a path; a relative one starts where this file is".to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(path) if !path.is_empty() && !path.contains('\0') => Some(reader.path(path)),
            Some(_) => {
                reader.wrong(
                    value.span(),
                    key,
                    "is empty",
                    "Write a path, or leave the setting out.",
                );
                None
            }
            None => {
                let message = format!("cannot be {}", kind_of(value.get_ref()));
                reader.wrong(value.span(), key, message, "Write a path in quotes.");
                None
            }
        }
    }

    fn write(&self) -> Option<String> {
        self.to_str().map(quote)
    }
}

impl<T: Setting> Setting for OrOff<T> {
    fn describe() -> Description {
        Description::Value(format!("{}, or \"off\"", form_of::<T>()))
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some("off") => Some(OrOff::Off),
            Some(_) | None => T::read(value, key, reader).map(OrOff::On),
        }
    }

    fn write(&self) -> Option<String> {
        match self {
            OrOff::On(value) => value.write(),
            OrOff::Off => Some(quote("off")),
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    fn describe() -> Description {
        T::describe()
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(value, key, reader).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(Setting::write)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn describe() -> Description {
        Description::Value(format!("a list; each entry is {}", form_of::<T>()))
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(list) = value.get_ref().as_array() else {
            let message = format!("is a list and cannot be {}", kind_of(value.get_ref()));
            reader.wrong(
                value.span(),
                key,
                message,
                "Write the entries in brackets, with commas: [\"…\", \"…\"].",
            );
            return None;
        };
        // Every entry is read, so that every wrong one is told.
        let entries: Vec<Option<T>> = list.iter().map(|entry| T::read(entry, key, reader)).collect();
        entries.into_iter().collect()
    }

    fn write(&self) -> Option<String> {
        let entries: Option<Vec<String>> = self.iter().map(Setting::write).collect();
        Some(format!("[{}]", entries?.join(", ")))
    }
}

/// Declares a setting that is one of a few words.
macro_rules! choice {
    (
        $(#[doc = $doc:expr])*
        pub enum $choice:ident { $( $(#[doc = $variant_doc:expr])* $variant:ident = $word:literal, )* }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $choice { $( $(#[doc = $variant_doc])* $variant, )* }

        impl $choice {
            /// The word that stands for it in the file.
            pub fn as_str(self) -> &'static str {
                match self { $( $choice::$variant => $word, )* }
            }
        }

        impl $crate::config::schema::Setting for $choice {
            fn describe() -> $crate::config::schema::Description {
                $crate::config::schema::Description::Value($crate::config::value::one_of(&[$($word),*]))
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                key: &str,
                reader: &mut $crate::config::schema::Reader<'_>,
            ) -> Option<Self> {
                match value.get_ref().as_str() {
                    $( Some($word) => Some($choice::$variant), )*
                    written => {
                        $crate::config::value::wrong_word(written, &[$($word),*], value, key, reader);
                        None
                    }
                }
            }

            fn write(&self) -> Option<String> {
                Some(format!("\"{}\"", self.as_str()))
            }
        }
    };
}

pub(crate) use choice;

/// `"a", "b" or "c"`.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

/// Says that a word is none of `words`.
pub(crate) fn wrong_word(
    written: Option<&str>,
    words: &[&'static str],
    value: &Spanned<DeValue<'_>>,
    key: &str,
    reader: &mut Reader<'_>,
) {
    let message = match written {
        Some(written) => format!("cannot be \"{written}\""),
        None => format!("cannot be {}", kind_of(value.get_ref())),
    };
    let advice = match written.and_then(|written| super::schema::nearest(written, words.iter().copied())) {
        Some(near) => format!("Did you mean \"{near}\"? It is {}.", one_of(words)),
        None => format!("Write {}.", one_of(words)),
    };
    reader.wrong(value.span(), key, message, advice);
}

fn form_of<T: Setting>() -> String {
    match T::describe() {
        Description::Value(form) => form,
        Description::Section(_) | Description::Hosts(_) => "a section".to_owned(),
    }
}

pub(super) fn quote(text: &str) -> String {
    format!("{:?}", text)
}
