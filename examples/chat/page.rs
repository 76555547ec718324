//! The page and the official client's files, all held in memory.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    future::{Ready, ready},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};
use tower_service::Service;

/// Where the official client's files are served.
const CLIENT: &str = "/socket.io-client/";

/// Files by the path that they are served under.
#[derive(Clone)]
pub struct Page {
    files: Arc<Files>,
}

#[derive(Default)]
struct Files(BTreeMap<String, File>);

struct File {
    content_type: HeaderValue,
    content: Bytes,
}

impl Page {
    /// Takes what is compiled in, and reads the official client, which it installs if it can.
    pub fn load() -> Self {
        let mut files = Files::default();
        files.add("/", "index.html", include_bytes!("web/index.html").as_slice().into());
        files.add("/app.js", "app.js", include_bytes!("web/app.js").as_slice().into());
        files.add("/style.css", "style.css", include_bytes!("web/style.css").as_slice().into());
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/chat/web");
        if let Err(error) = files.load_client(&web) {
            eprintln!("the page has no client to load: {error}");
            eprintln!("run `npm ci` in {} and start again", web.display());
        }
        Self { files: Arc::new(files) }
    }
}

impl Service<Request<Incoming>> for Page {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        ready(Ok(self.files.answer(request.method(), request.uri().path())))
    }
}

impl Files {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let Some(file) = self.0.get(path) else {
            return plain(StatusCode::NOT_FOUND, "Not found");
        };
        if !matches!(*method, Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
        }
        let mut response = Response::new(Full::new(file.content.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, file.content_type.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    fn add(&mut self, path: &str, name: &str, content: Bytes) {
        let content_type = HeaderValue::from_static(content_type(name));
        self.0.insert(path.to_owned(), File { content_type, content });
    }

    fn load_client(&mut self, web: &Path) -> io::Result<()> {
        let dist = web.join("node_modules/socket.io-client/dist");
        if !dist.is_dir() {
            install(web)?;
        }
        for entry in fs::read_dir(dist)? {
            let path: PathBuf = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if path.is_file() {
                let content = fs::read(&path)?;
                self.add(&format!("{CLIENT}{name}"), name, content.into());
            }
        }
        Ok(())
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// Installs the pinned version of the official client.
fn install(web: &Path) -> io::Result<()> {
    eprintln!("installing the official client: npm ci in {}", web.display());
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(web)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("npm cannot be run: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("npm ci has failed: {status}")))
    }
}

fn content_type(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("map") => "application/json",
        _ => "application/octet-stream",
    }
}
