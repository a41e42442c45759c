//! `GET /`: what is there, with links.

use std::fmt::Write as _;

use axum::body::Bytes;
use pledger_domain::{
    catalogue::{COMMANDS, CommandSpec},
    stream::StreamKind,
};
use pledger_projections::query::VIEWS;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pledger</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2rem; } h3 { margin-bottom: .2rem; }
dt { font-family: ui-monospace, monospace; margin-top: .4rem; } dd { margin: 0 0 0 1.5rem; opacity: .8; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid; border-radius: .4rem; }
</style>
<h1>pledger</h1>
<p>The ledger of a partner program: every request is a decision, every figure is folded from decisions.</p>
"#;

/// The page, as HTML.
pub(crate) fn page() -> Bytes {
    let mut html = String::from(HEAD);
    let written = write_body(&mut html);
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    html.into()
}

fn write_body(html: &mut String) -> std::fmt::Result {
    html.push_str("<h2>Questions</h2>\n<dl>\n");
    for view in VIEWS {
        writeln!(
            html,
            "<dt><a href=\"/v1/{0}\">/v1/{0}</a> <a href=\"/v1/{0}?limit=20\">20</a></dt><dd>{1}</dd>",
            view.name,
            escaped(view.summary)
        )?;
    }
    html.push_str("</dl>\n<h2>The program</h2>\n<dl>\n");
    for (path, what) in [
        ("/v1/rules", "every version of the rules, and which is in force"),
        ("/v1/streams/program", "the decisions about the program's rules"),
        ("/v1/commands", "the catalogue of commands, as JSON"),
        ("/v1/changes", "new decisions as they are made (server-sent events)"),
        ("/v1/openapi.json", "this API as OpenAPI 3.1"),
        ("/v1/asyncapi.json", "the topics of a cluster as AsyncAPI 3"),
        ("/healthz", "whether the process answers"),
        ("/readyz", "whether everything behind it does"),
        ("/metrics", "figures for Prometheus"),
    ] {
        writeln!(html, "<dt><a href=\"{path}\">{path}</a></dt><dd>{what}</dd>")?;
    }
    html.push_str("</dl>\n<h2>Commands</h2>\n");
    write_example(html)?;
    for kind in StreamKind::ALL {
        writeln!(html, "<h3>{}</h3>\n<dl>", kind.prefix())?;
        for spec in COMMANDS.iter().filter(|spec| spec.stream == kind) {
            writeln!(html, "<dt><a href=\"/v1/commands/{0}\">{0}</a></dt><dd>{1}</dd>", spec.name, escaped(spec.summary))?;
        }
        html.push_str("</dl>\n");
    }
    Ok(())
}

fn write_example(html: &mut String) -> std::fmt::Result {
    let Some(spec) = CommandSpec::find("RegisterPartner") else { return Ok(()) };
    writeln!(
        html,
        "<pre>curl -s -H 'Content-Type: application/json' -H 'Idempotency-Key: try-1' \\\n  -d '{}' \\\n  http://HOST/v1/commands/{}</pre>",
        escaped(spec.example),
        spec.name
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_command_and_view_and_loads_nothing_from_elsewhere() {
        let page = String::from_utf8(page().to_vec()).expect("UTF-8");
        for spec in COMMANDS {
            assert!(page.contains(&format!("href=\"/v1/commands/{}\"", spec.name)), "{}", spec.name);
        }
        for view in VIEWS {
            assert!(page.contains(&format!("href=\"/v1/{}\"", view.name)), "{}", view.name);
        }
        assert!(!page.contains("src=") && !page.contains("https://"));
    }
}
