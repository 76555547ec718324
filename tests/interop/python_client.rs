//! python-socketio, the popular client of another language, against `tests/fixtures/contract`; see
//! `tests/interop/python`.

use std::path::Path;

use crate::{example::Example, python, turn};

#[test]
fn python_client() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/python");
    let _turn = turn::shared();
    let mut server = Example::start("contract", &["--profile", "interop"], &[("PORT", "0")]);
    let url = format!("http://127.0.0.1:{}", server.address);
    python::run_python_tests(&folder, &[("INTEROP_URL", url)]);
    server.assert_unharmed();
}
