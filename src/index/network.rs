//! Network file systems: locks and shared memory of WAL do not work between their clients.

use std::path::Path;

use super::IndexError;

/// Refuses a place for a database where its locks would not hold.
pub(super) fn refuse_network(path: &Path) -> Result<(), IndexError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let status = rustix::fs::statfs(folder).map_err(|error| IndexError::Folder {
        path: path.to_owned(),
        source: error.into(),
    })?;
    match network_file_system(status.f_type as u64) {
        Some(kind) => Err(IndexError::Network {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

// The numbers are those of statfs(2).
fn network_file_system(magic: u64) -> Option<&'static str> {
    match magic & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x0116_1970 => Some("GFS2"),
        0x7461_636f => Some("OCFS2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known() {
        assert_eq!(network_file_system(0x6969), Some("NFS"));
        assert_eq!(network_file_system(0xffff_ffff_ff53_4d42), Some("SMB"));
        assert_eq!(network_file_system(0xef53), None);
    }
}
