//! Reads that fail, or take their time, where a test says so. Outside tests nothing stands here.

#[cfg(not(test))]
pub(super) const fn before_read() -> rusqlite::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use tests::before_read;

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    type Before = Box<dyn Fn() -> rusqlite::Result<()>>;

    thread_local! {
        static BEFORE: RefCell<Option<Before>> = const { RefCell::new(None) };
    }

    /// Has every read of this thread ask `before` first; with none they are as they are.
    pub(crate) fn set_before_read(before: Option<Before>) {
        BEFORE.set(before);
    }

    pub(in crate::store) fn before_read() -> rusqlite::Result<()> {
        BEFORE.with_borrow(|before| before.as_ref().map_or(Ok(()), |before| before()))
    }
}
