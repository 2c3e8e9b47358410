//! What the program asks of the operating system at its start: the data directory, open files.

use std::io;
use std::path::Path;

use crate::report::Report;

/// Makes the data directory, readable for its owner alone, unless it is there.
///
/// # Errors
/// When it is no directory or cannot be made.
pub fn make_data_directory(path: &Path) -> Result<(), Report> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Report::failed(
            format!("cannot make the data directory {}: {error}", path.display()),
            "Make it for the user who runs balcony, or set data_dir to a place where that user may write.",
        )
    })
}

/// How many files and connections this process may have open, after asking for as many as it can get.
///
/// # Errors
/// When the system does not tell.
pub fn raise_open_files() -> io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}

/// What is open beside connections: database, logs, listeners, files of the runtime.
const OTHER_FILES: u64 = 256;

/// What to say when `allowed` open files are too few for `connections`.
pub fn too_few_open_files(allowed: u64, connections: usize) -> Option<String> {
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    (allowed < needed).then(|| {
        format!(
            "the system allows {allowed} open files, and limits.connections = {connections} needs {needed}; raise the \
             limit (systemd: LimitNOFILE={needed}) or lower the setting"
        )
    })
}

/// A directory for one test, gone afterwards.
#[cfg(test)]
pub(crate) struct TemporaryDirectory(std::path::PathBuf);

#[cfg(test)]
impl TemporaryDirectory {
    pub(crate) fn new(name: &str) -> TemporaryDirectory {
        let path = std::env::temp_dir().join(format!("balcony-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        TemporaryDirectory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_is_made_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = TemporaryDirectory::new("data");
        let path = directory.path().join("a/b");
        make_data_directory(&path).unwrap();
        make_data_directory(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        std::fs::write(directory.path().join("file"), "").unwrap();
        let report = make_data_directory(&directory.path().join("file/data")).unwrap_err();
        assert!(
            report.message.contains("cannot make the data directory"),
            "{report}"
        );
    }

    #[test]
    fn open_files_are_raised_to_what_the_system_allows() {
        let hard = rlimit::Resource::NOFILE.get_hard().unwrap();
        assert_eq!(raise_open_files().unwrap(), hard);
        assert_eq!(rlimit::Resource::NOFILE.get_soft().unwrap(), hard);
    }

    #[test]
    fn too_few_open_files_are_told_with_the_number_needed() {
        assert_eq!(too_few_open_files(100_256, 100_000), None);
        let told = too_few_open_files(1024, 100_000).unwrap();
        assert!(told.contains("LimitNOFILE=100256"), "{told}");
    }
}
