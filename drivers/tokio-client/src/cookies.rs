//! The cookies of the server.

#[cfg(feature = "cookies")]
pub(crate) use with_store::CookieJar;
#[cfg(not(feature = "cookies"))]
pub(crate) use without::CookieJar;

#[cfg(feature = "cookies")]
mod with_store {
    use std::sync::{Mutex, MutexGuard};

    use cookie_store::{CookieStore, RawCookie};
    use hyper::{
        HeaderMap,
        header::{COOKIE, HeaderValue, SET_COOKIE},
    };
    use url::Url;

    use crate::target::Target;

    /// The most cookies that are kept, and the most bytes of one: what RFC 6265 asks for.
    const COOKIES: usize = 50;
    const COOKIE_BYTES: usize = 4096;

    /// Keeps the cookies that the server sets, and sends them back.
    pub(crate) struct CookieJar {
        url: Url,
        store: Mutex<CookieStore>,
    }

    impl CookieJar {
        /// `None` if the URL cannot have cookies.
        pub(crate) fn new(target: &Target) -> Option<Self> {
            let url = Url::parse(&target.http("")).ok()?;
            Some(Self { url, store: Mutex::new(CookieStore::default()) })
        }

        /// Adds the cookies to a request that may have some.
        pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
            let store = self.lock();
            let pairs = store.get_request_values(&self.url);
            let mut cookies: Vec<_> =
                pairs.map(|(name, value)| format!("{name}={value}")).collect();
            if cookies.is_empty() {
                return;
            }
            // The iteration order of the store is no order.
            cookies.sort_unstable();
            let own = headers.get(COOKIE).and_then(|own| own.to_str().ok()).map(str::to_owned);
            let all: Vec<_> = own.into_iter().chain(cookies).collect();
            if let Ok(value) = HeaderValue::try_from(all.join("; ")) {
                headers.insert(COOKIE, value);
            }
        }

        /// Keeps the cookies of a response. A server that sets too many loses all of them.
        pub(crate) fn store(&self, headers: &HeaderMap) {
            let mut store = self.lock();
            for value in headers.get_all(SET_COOKIE) {
                let text = value.to_str().ok().filter(|text| text.len() <= COOKIE_BYTES);
                let Some(Ok(cookie)) = text.map(RawCookie::parse) else { continue };
                store.insert_raw(&cookie, &self.url).ok();
                if store.iter_any().count() > COOKIES {
                    store.clear();
                }
            }
        }

        fn lock(&self) -> MutexGuard<'_, CookieStore> {
            self.store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

#[cfg(not(feature = "cookies"))]
mod without {
    use hyper::HeaderMap;

    /// There are no cookies.
    pub(crate) enum CookieJar {}

    impl CookieJar {
        pub(crate) fn add_to(&self, _: &mut HeaderMap) {
            match *self {}
        }

        pub(crate) fn store(&self, _: &HeaderMap) {
            match *self {}
        }
    }
}
