"""The tables of docs/injection.md; scripts/evaluate-injection calls it with the corpora, the program, and its own arguments."""

import collections
import gzip
import json
import pathlib
import subprocess
import sys

import libinjection

OBSERVE_AT, BLOCK_AT = 3, 5
# Attack text stored as correctly quoted data: a false alarm there is as bad, and told apart.
STORED = ("escaped-payload", "values-libinjection-fp", "values-own")


def main():
    corpora, program, *options = sys.argv[1:]
    if options not in ([], ["--write"]):
        sys.exit("usage: scripts/evaluate-injection [--write]")
    attacks = rows(corpora, "attacks.dev.jsonl.gz")
    benign = rows(corpora, "benign.dev.jsonl.gz")
    templates = [row for row in benign if row["source"] == "template-benign"]
    found = [row for row in attacks if row["parses"] and row["effective"] and row["breakout"]]
    inside = [row for row in attacks if row["parses"] and not row["effective"] and row["breakout"]]
    broken = [row for row in attacks if not row["parses"]]
    # Without a profile each statement is judged alone; with one, beside what the same applications' statements taught.
    judge(program, found + inside, "alone")
    judge(program, found + inside + templates, "learned", templates)
    judge(program, benign, "alone")
    for row in found + inside + benign:
        row["libinjection"] = libinjection.is_sql_injection(row["sql"])["is_sqli"]
    text = "\n".join(tables(found, inside, broken, benign, templates)) + "\n"
    if not options:
        print(text, end="")
        return
    page = pathlib.Path("docs/injection.md")
    before, rest = page.read_text().split("<!-- evaluation -->\n")
    _, after = rest.split("<!-- /evaluation -->\n")
    page.write_text(f"{before}<!-- evaluation -->\n{text}<!-- /evaluation -->\n{after}")


def rows(corpora, name):
    with gzip.open(pathlib.Path(corpora) / name, "rt") as file:
        return [json.loads(line) for line in file]


def judge(program, of, kind, learned=()):
    """Notes each row's score. Every statement is a session of its own: nothing comes from the one before."""
    lines = [json.dumps([row["sql"]]) for row in learned]
    lines += [line for row in of for line in ("null", json.dumps(row["sql"]))]
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    if len(answers) != len(of):
        sys.exit(f"{len(of)} statements, {len(answers)} answers")
    for row, answer in zip(of, answers):
        score = answer.split("\t")[0]
        if score == "unparsed":
            sys.exit(f"the grammar does not read a row that it should: {row['sql']}")
        row[kind] = int(score)


def tables(found, inside, broken, benign, templates):
    yield f"| attacks by technique | rows | seen (≥ {OBSERVE_AT}) | refused (≥ {BLOCK_AT}) | seen, learned | refused, learned | libinjection |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    yield from by(found, "technique", attack)
    yield f"| **all** {attack(found)}"
    yield ""
    yield f"| attacks by context | rows | seen (≥ {OBSERVE_AT}) | refused (≥ {BLOCK_AT}) | seen, learned | refused, learned | libinjection |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    yield from by(found, "context", attack)
    yield ""
    yield f"| statements of applications, by origin | rows | false alarms (≥ {OBSERVE_AT}) | false refusals (≥ {BLOCK_AT}) | libinjection |"
    yield "|---|--:|--:|--:|--:|"
    real = [row for row in benign if row["source"] not in STORED]
    yield from by(real, "source", innocent)
    yield f"| **all** {innocent(real)}"
    yield from by([row for row in benign if row["source"] in STORED], "source", innocent)
    yield ""
    yield f"Told apart: of {len(inside)} attacks that leave the statement's shape as it was (a forged second row of VALUES, a WHERE"
    yield f"that was moved), {share(inside, 'alone', OBSERVE_AT)} are seen alone and {share(inside, 'learned', OBSERVE_AT)} beside learned"
    yield f"statements. {len(broken)} rows are no statements of PostgreSQL's at all: the server would answer a syntax error, which counts"
    yield f"as [probing](#probing). The {len(templates)} harmless statements of the same applications, learned, show nothing:"
    yield f"{sum(row['learned'] >= OBSERVE_AT for row in templates)} alarms."


def by(of, key, line):
    groups = collections.defaultdict(list)
    for row in of:
        groups[row[key]].append(row)
    for name in sorted(groups):
        yield f"| {name} {line(groups[name])}"


def attack(of):
    shares = [share(of, kind, at) for kind in ("alone", "learned") for at in (OBSERVE_AT, BLOCK_AT)]
    return f"| {len(of)} | " + " | ".join([*shares, percent(sum(row["libinjection"] for row in of), len(of))]) + " |"


def innocent(of):
    alarms = [sum(row["alone"] >= at for row in of) for at in (OBSERVE_AT, BLOCK_AT)]
    alarms.append(sum(row["libinjection"] for row in of))
    return f"| {len(of)} | " + " | ".join(f"{n} ({percent(n, len(of))})" if n else "0" for n in alarms) + " |"


def share(of, kind, at):
    return percent(sum(row[kind] >= at for row in of), len(of))


def percent(part, whole):
    return f"{100 * part / whole:.2f} %" if whole else "–"


main()
