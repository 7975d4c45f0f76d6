//! Servers that read another grammar than ours.

use super::*;

#[test]
fn syntax_of_a_newer_server_is_refused_with_a_hint() {
    let newer = crate::sql::GRAMMAR_MAJOR + 1;
    for (version, hinted) in [(format!("{newer}devel"), true), (format!("{}.1", crate::sql::GRAMMAR_MAJOR), false)] {
        let mut session = Session::new(SHOP);
        session.server(&frame(b'S', format!("server_version\0{version}\0").as_bytes()));
        let sent = session.client(&query("SELECT 1 FROM orders SOMETHING NEW")).unwrap();
        let text = String::from_utf8(sent).unwrap();
        let (_, poison) = text.split_once("refused ").unwrap();
        let theirs = format!("SERROR\0C42601\0Msyntax error at or near \"portcullis refused {poison}\0\0");
        let told = session.server(&frame(b'E', theirs.as_bytes()));
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("C42601"), "{told}");
        assert_eq!(told.contains(&format!("this server is PostgreSQL {newer}")), hinted, "{version}: {told}");
    }
}
