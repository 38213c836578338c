use std::error::Error;
use std::io;

type Cause<'e> = &'e (dyn Error + 'static);

/// An error's causes, the deepest last. Also those that their bearers keep to themselves: the source of an `io::Error` is
/// its inner error's source, never the inner error, and a `rustls::Error` has none.
pub fn causes(error: &reqwest::Error) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(error.source(), |&cause| {
        if let Some(error) = cause.downcast_ref::<io::Error>()
            && let Some(inner) = error.get_ref()
        {
            return Some(inner);
        }
        if let Some(rustls::Error::Other(inner)) = cause.downcast_ref() {
            return Some(inner.0.as_ref());
        }
        cause.source()
    })
}
