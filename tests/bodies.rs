//! Bodies of PL/pgSQL, held against the server: wherever PostgreSQL's own PL/pgSQL takes a call of `canary()` in place of a word
//! of a body, our reader sees the call, or says that it does not know what the body does.
//!
//! Over the functions and DO blocks of PostgreSQL's own suite (`scripts/regress-sql`); a part of the words, all of them with
//! `PORTCULLIS_EVERY_CANARY=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use crate::common;

use common::Cluster;
use common::suite::{cases, sources};
use common::wire::{Client, query};
use pg_query::NodeEnum;
use pg_query::protobuf::Token;
use portcullis::sql::{self, Object, Reading, analyse};

/// The body of CREATE FUNCTION, CREATE PROCEDURE or DO, as it stands in the tree.
fn body(text: &str) -> Option<String> {
    let tree = analyse(text, Reading::default()).ok()?.tree;
    let [statement] = tree.stmts.as_slice() else { return None };
    let options = match statement.stmt.as_ref()?.node.as_ref()? {
        NodeEnum::CreateFunctionStmt(create) => &create.options,
        NodeEnum::DoStmt(block) => &block.args,
        _ => return None,
    };
    options.iter().find_map(|option| match option.node.as_ref()? {
        NodeEnum::DefElem(option) if option.defname == "as" => match option.arg.as_ref()?.node.as_ref()? {
            NodeEnum::String(body) => Some(body.sval.clone()),
            NodeEnum::List(list) => match list.items.first()?.node.as_ref()? {
                NodeEnum::String(body) => Some(body.sval.clone()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

/// The statement with each of its body's words replaced in turn, as a function that is compiled but not run.
fn mutations(text: &str, step: usize) -> Vec<String> {
    let Some(body) = body(text).filter(|body| !body.trim().is_empty()) else { return Vec::new() };
    let is_do = text.trim_start().get(..2).is_some_and(|start| start.eq_ignore_ascii_case("do"));
    let Some(place) = text.find(&body) else { return Vec::new() };
    let Ok(scanned) = pg_query::scan(&body) else { return Vec::new() };
    let before = std::iter::once(0).chain(scanned.tokens.iter().map(|token| token.token));
    let words = before.zip(&scanned.tokens).filter(|(before, token)| {
        // Behind a dot it is a field: in `INTO r.canary () …` of a target, and `()` is of what the field stood in.
        if *before == Token::Ascii46 as i32 {
            return false;
        }
        let kind = Token::try_from(token.token).unwrap_or(Token::Nul);
        token.keyword_kind != 0
            || matches!(kind, Token::Ident | Token::Iconst | Token::Fconst | Token::Sconst | Token::Param)
    });
    words
        .step_by(step)
        .flat_map(|(_, token)| {
            let span = usize::try_from(token.start).unwrap()..usize::try_from(token.end).unwrap();
            let word = body[span.clone()].to_owned();
            // In its place, and in front of it and behind it as another operand.
            [" canary() ".to_owned(), format!(" {word} = canary() "), format!(" canary() || {word} ")].map(|new| {
                let mut mutated = body.clone();
                mutated.replace_range(span.clone(), &new);
                if is_do {
                    format!(
                        "CREATE FUNCTION pg_temp.block() RETURNS void LANGUAGE plpgsql AS $mutated${mutated}$mutated$"
                    )
                } else {
                    format!("{}{mutated}{}", &text[..place], &text[place + body.len()..])
                }
            })
        })
        .collect()
}

fn is_seen(text: &str) -> bool {
    let Ok(analysis) = analyse(text, Reading::default()) else { return true };
    analysis.facts.statements.iter().flat_map(|statement| &statement.accesses).any(|access| match &access.object {
        Object::Function { name, .. } => &*name.name == "canary",
        Object::Unknown(_) => true,
        _ => false,
    })
}

#[test]
fn what_the_server_compiles_is_seen_or_unknown() {
    let every = std::env::var_os("PORTCULLIS_EVERY_CANARY").is_some();
    let cluster = Cluster::default();
    let mut client = Client::login(cluster.port(), &[("user", "postgres"), ("database", "postgres")]);
    for source in sources() {
        let texts: Vec<String> = cases(&source)
            .into_iter()
            .map(|case| case.sent.text)
            .filter(|text| {
                let lower = text.to_lowercase();
                lower.contains("plpgsql") || lower.trim_start().starts_with("do ")
            })
            .collect();
        let mutated = std::thread::Builder::new().stack_size(sql::STACK).spawn(move || {
            texts.iter().flat_map(|text| mutations(text, if every { 1 } else { 5 })).collect::<Vec<_>>()
        });
        let mutated = mutated.unwrap().join().unwrap();
        let (mut asked, mut compiled) = (0, Vec::new());
        for text in mutated {
            asked += 1;
            let frames = client.ask(&query(&format!("BEGIN;{text};ROLLBACK")));
            let failed = frames.iter().any(|frame| frame.kind == b'E');
            if failed {
                client.ask(&query("ROLLBACK"));
            } else {
                compiled.push(text);
            }
        }
        let count = compiled.len();
        let missed = std::thread::Builder::new()
            .stack_size(sql::STACK)
            .spawn(move || compiled.into_iter().filter(|text| !is_seen(text)).collect::<Vec<_>>());
        let missed = missed.unwrap().join().unwrap();
        println!("{}: {asked} mutations, {count} compile, {} missed", source.display(), missed.len());
        assert!(count > 500, "{count} of {asked} compile");
        assert!(missed.is_empty(), "{}", missed.join("\n----\n"));
    }
}
