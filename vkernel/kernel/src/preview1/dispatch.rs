//! From the generated trait to the functions that do the work: one line each.
//!
//! Nothing is decided here; the order is that of the interface.

use wiggle::{GuestMemory, GuestPtr};

use super::{
    args, clock,
    errno::Result,
    fd::{self, At},
    generated::wasi_snapshot_preview1::WasiSnapshotPreview1,
    path, poll, sock,
    types::{
        Advice, CiovecArray, Clockid, Errno, Event, Fd, Fdflags, Fdstat, Filestat, Fstflags,
        IovecArray, Lookupflags, Oflags, Prestat, Riflags, Rights, Roflags, Sdflags, Signal,
        Subscription, Whence,
    },
};
use crate::process::{Process, ProcessExit};

impl WasiSnapshotPreview1 for Process {
    fn args_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        argv: GuestPtr<GuestPtr<u8>>,
        argv_buf: GuestPtr<u8>,
    ) -> Result<()> {
        args::get(memory, &self.args, argv, argv_buf)
    }

    fn args_sizes_get(&mut self, _: &mut GuestMemory<'_>) -> Result<(u32, u32)> {
        args::sizes(&self.args)
    }

    fn environ_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        environ: GuestPtr<GuestPtr<u8>>,
        environ_buf: GuestPtr<u8>,
    ) -> Result<()> {
        args::get(memory, &self.env, environ, environ_buf)
    }

    fn environ_sizes_get(&mut self, _: &mut GuestMemory<'_>) -> Result<(u32, u32)> {
        args::sizes(&self.env)
    }

    fn clock_res_get(&mut self, _: &mut GuestMemory<'_>, id: Clockid) -> Result<u64> {
        Ok(self.sources.resolution(clock::clock(id)))
    }

    fn clock_time_get(
        &mut self,
        _: &mut GuestMemory<'_>,
        id: Clockid,
        _precision: u64,
    ) -> Result<u64> {
        Ok(self.sources.now(clock::clock(id)))
    }

    fn fd_advise(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        offset: u64,
        len: u64,
        advice: Advice,
    ) -> Result<()> {
        fd::advise(&self.files, fd.into(), offset, len, advice)
    }

    fn fd_allocate(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        fd::allocate(&self.files, fd.into(), offset, len)
    }

    fn fd_close(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        Ok(self.files.close(fd.into())?)
    }

    fn fd_datasync(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        Ok(self.files.sync(fd.into(), true)?)
    }

    fn fd_fdstat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<Fdstat> {
        fd::fdstat(&self.files, fd.into())
    }

    fn fd_fdstat_set_flags(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        flags: Fdflags,
    ) -> Result<()> {
        fd::set_flags(&mut self.files, fd.into(), flags)
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        _base: Rights,
        _inheriting: Rights,
    ) -> Result<()> {
        self.files.table.get(fd.into())?;
        Err(Errno::Notsup.into())
    }

    fn fd_filestat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<Filestat> {
        let stat = fd::filestat(&self.files, fd.into())?;
        Ok(fd::told(stat, &self.sources))
    }

    fn fd_filestat_set_size(&mut self, _: &mut GuestMemory<'_>, fd: Fd, size: u64) -> Result<()> {
        Ok(self.files.set_size(fd.into(), size)?)
    }

    fn fd_filestat_set_times(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        atim: u64,
        mtim: u64,
        flags: Fstflags,
    ) -> Result<()> {
        let times = fd::timestamps(atim, mtim, flags)?;
        Ok(self.files.set_times(fd.into(), &times)?)
    }

    fn fd_pread(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        iovs: IovecArray,
        offset: u64,
    ) -> Result<u32> {
        fd::read(&mut self.files, memory, fd.into(), iovs, At::Offset(offset))
    }

    fn fd_prestat_get(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<Prestat> {
        fd::prestat(&self.files, fd.into())
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<u8>,
        len: u32,
    ) -> Result<()> {
        fd::prestat_name(&self.files, memory, fd.into(), path.as_array(len))
    }

    fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        iovs: CiovecArray,
        offset: u64,
    ) -> Result<u32> {
        fd::write(&self.files, memory, fd.into(), iovs, At::Offset(offset))
    }

    fn fd_read(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, iovs: IovecArray) -> Result<u32> {
        fd::read(&mut self.files, memory, fd.into(), iovs, At::Position)
    }

    fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buf: GuestPtr<u8>,
        len: u32,
        cookie: u64,
    ) -> Result<u32> {
        fd::readdir(
            &mut self.files,
            &self.sources,
            memory,
            fd.into(),
            buf.as_array(len),
            cookie,
        )
    }

    fn fd_renumber(&mut self, _: &mut GuestMemory<'_>, fd: Fd, to: Fd) -> Result<()> {
        Ok(self.files.table.renumber(fd.into(), to.into())?)
    }

    fn fd_seek(
        &mut self,
        _: &mut GuestMemory<'_>,
        fd: Fd,
        offset: i64,
        whence: Whence,
    ) -> Result<u64> {
        fd::seek(&mut self.files, fd.into(), offset, whence)
    }

    fn fd_sync(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<()> {
        Ok(self.files.sync(fd.into(), false)?)
    }

    fn fd_tell(&mut self, _: &mut GuestMemory<'_>, fd: Fd) -> Result<u64> {
        fd::seek(&mut self.files, fd.into(), 0, Whence::Cur)
    }

    fn fd_write(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, iovs: CiovecArray) -> Result<u32> {
        fd::write(&self.files, memory, fd.into(), iovs, At::Position)
    }

    fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let path = path::path(memory, path)?;
        Ok(self.files.create_directory(fd.into(), &path)?)
    }

    fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        flags: Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat> {
        let path = path::path(memory, path)?;
        let last = path::last(flags);
        let stat = fd::record(&self.files.metadata_at(fd.into(), &path, last)?);
        Ok(fd::told(stat, &self.sources))
    }

    fn path_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        flags: Lookupflags,
        path: GuestPtr<str>,
        atim: u64,
        mtim: u64,
        fst_flags: Fstflags,
    ) -> Result<()> {
        let times = fd::timestamps(atim, mtim, fst_flags)?;
        let path = path::path(memory, path)?;
        let last = path::last(flags);
        Ok(self.files.set_times_at(fd.into(), &path, last, &times)?)
    }

    fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_fd: Fd,
        old_flags: Lookupflags,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let old_path = path::path(memory, old_path)?;
        let new_path = path::path(memory, new_path)?;
        // As wasmtime: hard links are made of what is named, not of what a link leads to.
        if old_flags.contains(Lookupflags::SYMLINK_FOLLOW) {
            return Err(Errno::Inval.into());
        }
        Ok(self
            .files
            .link(old_fd.into(), &old_path, new_fd.into(), &new_path)?)
    }

    fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        dirflags: Lookupflags,
        path: GuestPtr<str>,
        oflags: Oflags,
        rights: Rights,
        _inheriting: Rights,
        fdflags: Fdflags,
    ) -> Result<Fd> {
        let path = path::path(memory, path)?;
        let how = path::how(dirflags, oflags, rights, fdflags);
        Ok(self.files.open(fd.into(), &path, how)?.into())
    }

    fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
        buf: GuestPtr<u8>,
        len: u32,
    ) -> Result<u32> {
        let path = path::path(memory, path)?;
        path::readlink(&self.files, memory, fd.into(), &path, buf.as_array(len))
    }

    fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let path = path::path(memory, path)?;
        Ok(self.files.remove(fd.into(), &path, true)?)
    }

    fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let old_path = path::path(memory, old_path)?;
        let new_path = path::path(memory, new_path)?;
        Ok(self
            .files
            .rename(fd.into(), &old_path, new_fd.into(), &new_path)?)
    }

    fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_path: GuestPtr<str>,
        fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let old_path = path::path(memory, old_path)?;
        let new_path = path::path(memory, new_path)?;
        Ok(self.files.symlink(&old_path, fd.into(), &new_path)?)
    }

    fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        let path = path::path(memory, path)?;
        Ok(self.files.remove(fd.into(), &path, false)?)
    }

    fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: u32,
    ) -> Result<u32> {
        poll::oneoff(
            &self.files,
            &mut self.sources,
            memory,
            subscriptions,
            events,
            count,
        )
    }

    fn proc_exit(&mut self, _: &mut GuestMemory<'_>, status: u32) -> wiggle::error::Error {
        ProcessExit(status as i32).into()
    }

    fn proc_raise(&mut self, _: &mut GuestMemory<'_>, _signal: Signal) -> Result<()> {
        Err(Errno::Notsup.into())
    }

    fn sched_yield(&mut self, _: &mut GuestMemory<'_>) -> Result<()> {
        rustix::thread::sched_yield();
        Ok(())
    }

    fn random_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        buf: GuestPtr<u8>,
        len: u32,
    ) -> Result<()> {
        clock::random(&mut self.sources, memory, buf.as_array(len))
    }

    fn sock_accept(&mut self, _: &mut GuestMemory<'_>, fd: Fd, flags: Fdflags) -> Result<Fd> {
        Ok(sock::accept(&mut self.files, fd.into(), flags)?.into())
    }

    fn sock_recv(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        data: IovecArray,
        flags: Riflags,
    ) -> Result<(u32, Roflags)> {
        sock::receive(&self.files, memory, fd.into(), data, flags)
    }

    fn sock_send(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        data: CiovecArray,
        flags: u16,
    ) -> Result<u32> {
        sock::send(&self.files, memory, fd.into(), data, flags)
    }

    fn sock_shutdown(&mut self, _: &mut GuestMemory<'_>, fd: Fd, how: Sdflags) -> Result<()> {
        sock::shutdown(&self.files, fd.into(), how)
    }
}
