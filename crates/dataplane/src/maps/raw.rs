/// A value of `etm-abi`, as `aya` takes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Raw<T: etm_abi::Pod>(pub(crate) T);

// SAFETY: `etm_abi::Pod` promises integers only and no padding, and `Raw` is transparent.
unsafe impl<T: etm_abi::Pod> aya::Pod for Raw<T> {}
