//! A disk that remembers every write and every flush, so that its power can be cut
//! afterwards at any moment.
//!
//! It is one file in a FUSE file system of this process; a loop device lies on it
//! and ext4 on that, so that each write of the block layer arrives here as a write
//! and each flush as an fsync. What a reader would get wrong: the disk keeps its
//! whole content at all times; what a power cut would have lost is decided later.

use std::{
    ffi::OsStr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

/// What happened to the disk.
#[derive(Clone, Debug)]
pub enum Happened {
    /// Bytes were written at an offset.
    Write(usize, Vec<u8>),
    /// Everything before is kept for good.
    Flush,
}

/// The disk's content and its history.
#[derive(Debug, Default)]
pub struct Disk {
    content: Vec<u8>,
    /// In order.
    pub history: Vec<Happened>,
    /// Until when, counted in history, writes are refused with EIO.
    broken: Option<(usize, usize)>,
}

/// The file's name in the mounted folder.
pub const FILE: &str = "disk";
const TTL: Duration = Duration::from_secs(1);
const DISK: INodeNo = INodeNo(2);

/// A disk in use.
pub struct Recorder {
    /// What it remembers.
    pub disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
}

impl Recorder {
    /// Mounts an empty disk of `size` bytes under `folder`.
    pub fn mount(folder: &Path, size: usize) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let disk = Arc::new(Mutex::new(Disk { content: vec![0; size], ..Disk::default() }));
        let session = fuser::spawn_mount(Served(disk.clone()), folder, &Config::default())?;
        Ok(Self { disk, session: Some(session) })
    }

    /// How much has happened so far.
    pub fn moment(&self) -> usize {
        self.disk.lock().unwrap().history.len()
    }

    /// From now on the next `count` writes fail.
    pub fn fail(&self, count: usize) {
        self.disk.lock().unwrap().broken = Some((count, 0));
    }

    /// How many writes have failed.
    pub fn failed(&self) -> usize {
        self.disk.lock().unwrap().broken.map_or(0, |(_, failed)| failed)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

struct Served(Arc<Mutex<Disk>>);

impl Served {
    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let size = self.0.lock().unwrap().content.len() as u64;
        let (kind, perm) = match ino {
            DISK => (FileType::RegularFile, 0o600),
            _ => (FileType::Directory, 0o700),
        };
        FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == FILE {
            reply.entry(&TTL, &self.attributes(DISK), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(ino));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.attr(&TTL, &self.attributes(ino));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let disk = self.0.lock().unwrap();
        let from = place(offset).min(disk.content.len());
        let to = (from + size as usize).min(disk.content.len());
        reply.data(&disk.content[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut disk = self.0.lock().unwrap();
        if let Some((left @ 1.., failed)) = disk.broken {
            disk.broken = Some((left - 1, failed + 1));
            return reply.error(Errno::EIO);
        }
        let from = place(offset);
        if from + data.len() > disk.content.len() {
            return reply.error(Errno::ENOSPC);
        }
        disk.content[from..from + data.len()].copy_from_slice(data);
        disk.history.push(Happened::Write(from, data.to_vec()));
        reply.written(u32::try_from(data.len()).unwrap());
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // A close, not a flush of the disk.
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.lock().unwrap().history.push(Happened::Flush);
        reply.ok();
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}
