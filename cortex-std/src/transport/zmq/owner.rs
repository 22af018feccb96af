//! Frames that borrow from an owner of the user: no copy.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::frame::Frame;
use crate::transport::error::SocketError;
use crate::transport::loan::Loan;

/// A family of borrowing types: `View<'a>` is what a closure makes of `&'a O`.
pub(crate) trait ViewFamily: 'static {
    /// The borrowing type. It may own bytes as well.
    type View<'a>: Send + Sync;
}

/// An owner and a view into it, kept together: the view is dropped first.
///
/// # Why this is sound
///
/// - `owner` is an `Arc<O>` of ours, so its contents neither move nor are mutably borrowed nor
///   dropped before `view`, which is declared first and so dropped first.
/// - The closure that makes the view is `for<'a> FnOnce(&'a O) -> View<'a>`: it cannot know how long
///   `'a` really is, so nothing of it can be put anywhere but into the view.
/// - The view is handed out again only to closures that are generic in its lifetime (`'x` of
///   [`OwnedView::with`]), so they cannot treat it as `'static`, whatever its variance, and only as a
///   shared borrow. Both sides see a lifetime that ends before the owner does.
pub(crate) struct OwnedView<F: ViewFamily, O: ?Sized + Send + Sync + 'static> {
    view: F::View<'static>,
    _owner: Arc<O>,
}

impl<F: ViewFamily, O: ?Sized + Send + Sync + 'static> OwnedView<F, O> {
    /// Keeps `owner` together with what `borrow` makes of it.
    pub(crate) fn new(
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> F::View<'a>,
    ) -> Arc<Self> {
        let Ok(owned) = Self::try_new(owner, |owner| Ok::<_, Infallible>(borrow(owner)));
        owned
    }

    /// Keeps `owner` together with what `borrow` makes of it, unless that fails.
    ///
    /// # Errors
    /// Those of `borrow`.
    pub(crate) fn try_new<E: 'static>(
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> Result<F::View<'a>, E>,
    ) -> Result<Arc<Self>, E> {
        // SAFETY: the reference is valid while `owner` is, which outlives `view`: see above. An
        // error cannot hold it: `E` is the same type for every `'a`.
        let pinned: &'static O = unsafe { &*Arc::as_ptr(&owner) };
        let view = borrow(pinned)?;
        Ok(Arc::new(Self { view, _owner: owner }))
    }

    /// Lets `f` read the view and make frames of slices that it borrows from it.
    ///
    /// A frame holds one count of `self` and outlives this call. `'b` may be any lifetime as far as
    /// `f` knows, so a slice of that lifetime comes out of the view, out of what the view borrows, or
    /// is `'static`; a slice of a local or captured variable does not compile.
    pub(crate) fn with<R>(
        self: &Arc<Self>,
        f: impl for<'b, 'x> FnOnce(&'b F::View<'x>, &FrameMaker<'b>) -> R,
    ) -> R {
        let make = |data: *const u8, len: usize| {
            // SAFETY: `data` came through `FrameMaker::frame` with the lifetime `'b`. The only borrows of
            // `'b` are of `self.view`, and `'b` stands for the time until the last count of `self`
            // is gone: until then no code has `&mut` to it or drops it.
            unsafe { Frame::from_raw_owner(Arc::clone(self), data, len) }
        };
        let maker = FrameMaker { make: &make, brand: PhantomData };
        f(&self.view, &maker)
    }
}

/// A frame of the bytes of a loan.
///
/// # Errors
/// When memory is exhausted.
pub(in crate::transport) fn frame_of(loan: Loan) -> Result<Frame, SocketError> {
    let owner = Arc::new(loan);
    let (data, len) = (owner.as_ptr(), owner.len());
    // SAFETY: a loan's initialised bytes stay where they are, and nothing writes them any more: the only
    // way to write them is `&mut Loan`, which no code gets from this `Arc`.
    unsafe { Frame::from_raw_owner(owner, data, len) }
}

impl<F: ViewFamily, O: ?Sized + Send + Sync + 'static> fmt::Debug for OwnedView<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedView").finish_non_exhaustive()
    }
}

/// Makes frames of slices that live in a [`OwnedView`].
pub(crate) struct FrameMaker<'b> {
    make: &'b dyn Fn(*const u8, usize) -> Result<Frame, SocketError>,
    // Invariant: neither a longer nor a shorter lifetime may be pretended.
    brand: PhantomData<fn(&'b ()) -> &'b ()>,
}

impl<'b> FrameMaker<'b> {
    /// A frame of these bytes; it keeps the owner. A kibibyte and less is copied: that is cheaper.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(crate) fn frame(&self, bytes: &'b [u8]) -> Result<Frame, SocketError> {
        (self.make)(bytes.as_ptr(), bytes.len())
    }
}

impl fmt::Debug for FrameMaker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameMaker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::mpsc;

    use super::*;

    struct Cows;
    impl ViewFamily for Cows {
        type View<'a> = Vec<Cow<'a, [u8]>>;
    }

    struct Owner(Vec<u8>, mpsc::Sender<&'static str>);
    impl Drop for Owner {
        fn drop(&mut self) {
            let _ = self.1.send("owner");
        }
    }

    fn frames(owned: &Arc<OwnedView<Cows, Owner>>) -> Vec<Frame> {
        owned.with(|view, maker| view.iter().map(|part| maker.frame(part).unwrap()).collect())
    }

    #[test]
    fn frames_borrow_from_owner_and_view() {
        let (sender, dropped) = mpsc::channel();
        let owner = Arc::new(Owner(vec![1; 5000], sender));
        let address = owner.0.as_ptr();
        let owned = OwnedView::<Cows, _>::new(owner, |owner| {
            vec![Cow::Borrowed(&owner.0[..]), Cow::Owned(vec![2; 5000])]
        });
        let mut frames = frames(&owned);
        drop(owned);
        assert_eq!(frames[0].as_slice().as_ptr(), address);
        assert_eq!(frames[0].as_slice(), [1; 5000]);
        assert_eq!(frames[1].as_slice(), [2; 5000]);
        frames.remove(0);
        assert!(dropped.try_recv().is_err());
        assert_eq!(frames[0].as_slice(), [2; 5000]);
        frames.clear();
        assert_eq!(dropped.try_recv(), Ok("owner"));
    }

    #[test]
    fn the_view_is_dropped_before_its_owner() {
        struct Last<'a>(&'a Owner);
        impl Drop for Last<'_> {
            fn drop(&mut self) {
                let _ = self.0.1.send(if self.0.0 == [9; 4000] { "view" } else { "wrong" });
            }
        }
        // A view that borrows must be `Send + Sync`; a sender is, since Rust 1.72.
        struct Lasts;
        impl ViewFamily for Lasts {
            type View<'a> = Last<'a>;
        }
        let (sender, dropped) = mpsc::channel();
        let owned =
            OwnedView::<Lasts, _>::new(Arc::new(Owner(vec![9; 4000], sender)), |owner| Last(owner));
        let frame = owned.with(|view, maker| maker.frame(&view.0.0).unwrap());
        drop(owned);
        drop(frame);
        assert_eq!(dropped.iter().collect::<Vec<_>>(), ["view", "owner"]);
    }

    #[test]
    fn an_error_drops_the_owner() {
        let (sender, dropped) = mpsc::channel();
        let owner = Arc::new(Owner(vec![4; 40], sender));
        let failed = OwnedView::<Cows, _>::try_new(owner, |owner| {
            let view = vec![Cow::Borrowed(&owner.0[..])];
            if view[0].len() == 40 { Err("too short") } else { Ok(view) }
        });
        assert_eq!(failed.unwrap_err(), "too short");
        assert_eq!(dropped.iter().collect::<Vec<_>>(), ["owner"]);
    }

    #[test]
    fn an_owner_may_be_unsized() {
        let owner: Arc<[u8]> = Arc::from(vec![5; 6400]);
        struct Plain;
        impl ViewFamily for Plain {
            type View<'a> = &'a [u8];
        }
        let owned = OwnedView::<Plain, [u8]>::new(Arc::clone(&owner), |owner| owner);
        let frame = owned.with(|view, maker| maker.frame(view).unwrap());
        assert_eq!(frame.as_slice().as_ptr(), owner.as_ptr());
    }
}
