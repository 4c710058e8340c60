//! Which filesystems belong to another machine.

use rustix::fs::{major, minor, stat, statfs};
use std::io;
use std::path::Path;

/// Filesystem magic numbers as `statfs(2)` lists them.
const NETWORK: [(u64, &str); 9] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x564C, "NCP"),
    (0x5346_414F, "AFS"),
    (0x7372_7573, "Coda"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
];
const FUSE: u64 = 0x6573_5546;

/// Filesystems in user space that reach other machines. Others (ntfs-3g, mergerfs) are local disks.
const NETWORK_FUSE: [(&str, &str); 10] = [
    ("fuse.sshfs", "sshfs"),
    ("fuse.glusterfs", "GlusterFS"),
    ("fuse.rclone", "rclone"),
    ("fuse.s3fs", "s3fs"),
    ("fuse.davfs", "davfs"),
    ("fuse.davfs2", "davfs"),
    ("fuse.ceph-fuse", "Ceph"),
    ("fuse.smbnetfs", "SMB"),
    ("fuse.gvfsd-fuse", "gvfs"),
    ("fuse.juicefs", "JuiceFS"),
];

/// The network filesystem that this path is on, or none when it is a local one.
pub fn network_filesystem(path: &Path) -> io::Result<Option<&'static str>> {
    // The magic number has 32 bits, in a word whose width and sign differ between machines.
    let magic = (statfs(path)?.f_type as u64) & 0xFFFF_FFFF;
    if magic != FUSE {
        return Ok(network_magic(magic));
    }
    let device = stat(path)?.st_dev;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(network_mount(&mounts, major(device), minor(device)))
}

fn network_magic(magic: u64) -> Option<&'static str> {
    NETWORK.into_iter().find(|(known, _)| *known == magic).map(|(_, name)| name)
}

/// Reads `/proc/self/mountinfo`: the third field is the device, the first after ` - ` the type.
fn network_mount(mounts: &str, major: u32, minor: u32) -> Option<&'static str> {
    let device = format!("{major}:{minor}");
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device))?;
    let kind = line.split_once(" - ")?.1.split(' ').next()?;
    NETWORK_FUSE.into_iter().find(|(known, _)| *known == kind).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 22 0:50 / /mnt/far rw,nosuid shared:5 master:2 - fuse.sshfs me@far:/ rw,user_id=0
91 22 0:51 / /mnt/near rw - fuseblk /dev/sdb1 rw
92 22 0:52 / /mnt/pool rw - fuse.mergerfs a:b rw
";

    #[test]
    fn magic_numbers_of_network_filesystems_are_known() {
        assert_eq!(network_magic(0x6969), Some("NFS"));
        assert_eq!(network_magic(0xFF53_4D42), Some("CIFS"));
        assert_eq!(network_magic(0xFE53_4D42), Some("SMB"));
        assert_eq!(network_magic(0xEF53), None, "ext4");
        assert_eq!(network_magic(0x0102_1994), None, "tmpfs");
    }

    #[test]
    fn fuse_mounts_are_told_apart_by_their_device() {
        assert_eq!(network_mount(MOUNTS, 0, 50), Some("sshfs"));
        assert_eq!(network_mount(MOUNTS, 0, 51), None);
        assert_eq!(network_mount(MOUNTS, 0, 52), None);
        assert_eq!(network_mount(MOUNTS, 8, 1), None);
        assert_eq!(network_mount(MOUNTS, 0, 5), None, "0:5 is not 0:50");
        assert_eq!(network_mount("", 0, 50), None);
    }

    #[test]
    fn a_temporary_directory_is_local() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        assert_eq!(network_filesystem(dir.path())?, None);
        assert!(network_filesystem(&dir.path().join("absent")).is_err());
        Ok(())
    }
}
