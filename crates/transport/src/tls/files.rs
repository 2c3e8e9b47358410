//! What the file system says about certificate files: whether they changed, and why they cannot be read.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::problem::Fault;

/// Tells one state of a file from another, links followed: a replaced file, a link that was pointed
/// elsewhere, new content in place and new permissions all differ in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Result<FileState, io::ErrorKind>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Looks at a file now. To be taken before the file is read: what changes in between then shows at the
    /// next look.
    pub(super) fn of(path: &Path) -> Stamp {
        Stamp(
            fs::metadata(path)
                .map_err(|error| error.kind())
                .map(|metadata| FileState {
                    device: metadata.dev(),
                    inode: metadata.ino(),
                    size: metadata.size(),
                    modified: (metadata.mtime(), metadata.mtime_nsec()),
                    changed: (metadata.ctime(), metadata.ctime_nsec()),
                }),
        )
    }
}

/// A key that every user of the machine can read: the file and all directories above it are open to them.
pub(super) fn key_exposure(path: &Path) -> Option<Fault> {
    const OTHERS_READ: u32 = 0o004;
    const OTHERS_ENTER: u32 = 0o001;
    let path = fs::canonicalize(path).ok()?;
    let mode = |path: &Path| {
        fs::metadata(path)
            .map(|metadata| metadata.permissions().mode() & 0o7777)
            .ok()
    };
    let file_mode = mode(&path)?;
    let reachable = path
        .ancestors()
        .skip(1)
        .all(|directory| mode(directory).is_some_and(|m| m & OTHERS_ENTER != 0));
    (file_mode & OTHERS_READ != 0 && reachable).then_some(Fault::KeyReadableByAll { mode: file_mode })
}

/// The first directory on the way to `path` that this process may not enter, links followed: certbot keeps
/// its files two links away, in a directory for root alone.
pub(super) fn closed_directory(path: &Path) -> Option<PathBuf> {
    /// As many links as Linux follows.
    const LINKS_MAX: usize = 40;
    let mut reached = PathBuf::new();
    let mut ahead: Vec<PathBuf> = parts_reversed(path);
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        let next = reached.join(&part);
        match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Some(reached),
            Err(_) => return None,
            Ok(metadata) if metadata.is_symlink() && links < LINKS_MAX => {
                links += 1;
                ahead.extend(parts_reversed(&fs::read_link(&next).ok()?));
            }
            Ok(_) => reached = next,
        }
    }
    None
}

fn parts_reversed(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .map(|part: Component<'_>| PathBuf::from(part.as_os_str()))
        .collect()
}

/// The user that this process runs as: its name, or its number where the system has no name for it.
pub(super) fn process_user() -> String {
    let Ok(process) = fs::metadata("/proc/self") else {
        return "an unknown user".to_owned();
    };
    let id = process.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    name.unwrap_or(id)
}
