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

    #[cfg(test)]
    mod tests {
        use super::*;

        fn jar() -> CookieJar {
            CookieJar::new(&Target::new("https://example.com", "/socket.io/").unwrap()).unwrap()
        }

        fn set(jar: &CookieJar, cookie: &str) {
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, HeaderValue::try_from(cookie).unwrap());
            jar.store(&headers);
        }

        fn sent(jar: &CookieJar) -> Option<String> {
            let mut headers = HeaderMap::new();
            jar.add_to(&mut headers);
            Some(headers.get(COOKIE)?.to_str().unwrap().to_owned())
        }

        #[test]
        fn cookies_come_back_until_they_expire() {
            let jar = jar();
            set(&jar, "a=1; Path=/");
            set(&jar, "b=2; Path=/socket.io/; Secure; HttpOnly");
            set(&jar, "c=3; Path=/elsewhere");
            set(&jar, "d=4; Domain=other.com");
            set(&jar, "no cookie at all");
            assert_eq!(sent(&jar).as_deref(), Some("a=1; b=2"));
            set(&jar, "a=; Path=/; Max-Age=0");
            assert_eq!(sent(&jar).as_deref(), Some("b=2"));
        }

        #[test]
        fn a_cookie_that_is_too_large_is_ignored() {
            let jar = jar();
            set(&jar, &format!("a={}; Path=/", "x".repeat(COOKIE_BYTES)));
            assert_eq!(sent(&jar), None);
            set(&jar, &format!("a={}", "x".repeat(COOKIE_BYTES - "a=".len())));
            assert_eq!(sent(&jar).map(|cookies| cookies.len()), Some(COOKIE_BYTES));
        }

        #[test]
        fn a_server_that_sets_too_many_cookies_loses_them() {
            let jar = jar();
            for number in 0..COOKIES {
                set(&jar, &format!("n{number}=1; Path=/"));
            }
            set(&jar, "n0=2; Path=/");
            assert_eq!(sent(&jar).unwrap().split("; ").count(), COOKIES, "one was replaced");
            set(&jar, "more=1; Path=/");
            assert_eq!(sent(&jar), None);
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
