//! The key of an installation that did not configure one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::infrastructure::config::{ConfigError, parse_credentials_key};
use crate::infrastructure::private_directory::private_directory;

pub(super) const VARIABLE: &str = "CREDENTIALS_KEY";
const FILE: &str = "credentials.key";

/// The key in `DATA_DIR/credentials.key`, which is made if it is not there. Processes that start at once get the same.
///
/// # Errors
/// When the file is damaged, or is not there although credentials are stored: making another key would lose them for good.
pub fn load_or_create(data_dir: &Path, has_credentials: bool) -> Result<[u8; 32], ConfigError> {
    let path = data_dir.join(FILE);
    let failed = |error: io::Error| {
        ConfigError::new(VARIABLE, format!("is not set, and {} cannot be used instead: {error}", path.display()))
    };
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound && has_credentials => {
            let path = std::path::absolute(&path).unwrap_or(path);
            let sentence = format!(
                "is not set, and there is no {}, the file with the key that sealed the stored credentials: put it back, or set \
                 the variable to its content",
                path.display()
            );
            return Err(ConfigError::new(VARIABLE, sentence));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            private_directory(data_dir)
                .map_err(|error| ConfigError::new("DATA_DIR", format!("cannot be created: {error}")))?;
            create(data_dir, &path).map_err(failed)?;
            fs::read_to_string(&path).map_err(failed)?
        }
        read => read.map_err(failed)?,
    };
    parse_credentials_key(text.trim()).map_err(|_| {
        let sentence = format!("is not set, and {} is damaged: restore it from a backup", path.display());
        ConfigError::new(VARIABLE, sentence)
    })
}

/// Writes a new key beside its place and links it there, so that it appears complete or not at all, and never over
/// another's.
fn create(data_dir: &Path, path: &Path) -> io::Result<()> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let draft = data_dir.join(format!("{FILE}.{}", Uuid::new_v4()));
    let linked = write(&draft, &key).and_then(|()| fs::hard_link(&draft, path));
    // Whatever happened, no copy of a key is left behind.
    let removed = fs::remove_file(&draft);
    match linked {
        // Another process was faster: its key is ours too.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other?,
    }
    removed?;
    // The name is on disk only when its directory is.
    File::open(data_dir)?.sync_all()
}

fn write(draft: &Path, key: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    writeln!(file, "{}", STANDARD.encode(key))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("correio-{}", Uuid::new_v4())).join("data"))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.0.parent().unwrap());
        }
    }

    #[test]
    fn it_is_made_once_and_only_its_owner_may_read_it() {
        let directory = Directory::new();
        let key = load_or_create(&directory.0, false).unwrap();
        assert_eq!(load_or_create(&directory.0, false).unwrap(), key);
        let mode = fs::metadata(directory.0.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[test]
    fn all_that_start_at_once_get_the_same() {
        let directory = Directory::new();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..16).map(|_| scope.spawn(|| load_or_create(&directory.0, false).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_one_is_never_replaced() {
        let directory = Directory::new();
        fs::create_dir_all(&directory.0).unwrap();
        for text in ["", "aHVzaA==", "\u{0}\u{1}"] {
            fs::write(directory.0.join(FILE), text).unwrap();
            let error = load_or_create(&directory.0, false).unwrap_err();
            assert_eq!(error.variable, "CREDENTIALS_KEY");
            assert_eq!(fs::read_to_string(directory.0.join(FILE)).unwrap(), text);
        }
        fs::write(directory.0.join(FILE), [0xff, 0xfe]).unwrap();
        assert_eq!(load_or_create(&directory.0, false).unwrap_err().variable, "CREDENTIALS_KEY");
    }

    #[test]
    fn none_is_made_while_credentials_are_stored_that_another_one_sealed() {
        let directory = Directory::new();
        let error = load_or_create(&directory.0, true).unwrap_err();
        let path = directory.0.join(FILE);
        assert!(error.variable == "CREDENTIALS_KEY" && error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(!directory.0.exists());
        let key = load_or_create(&directory.0, false).unwrap();
        assert_eq!(load_or_create(&directory.0, true).unwrap(), key);
    }

    #[test]
    fn a_place_where_nothing_can_be_kept_stops_the_start() {
        assert_eq!(load_or_create(Path::new("/dev/null/data"), false).unwrap_err().variable, "CREDENTIALS_KEY");
    }
}
