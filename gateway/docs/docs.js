// Draws /openapi.json: an index of routes, each route with its parameters, body
// and answers, and every schema once. Text goes in as text, never as markup.
"use strict";

const verbs = ["get", "post", "put", "patch", "delete", "head"];

// make builds an element of text, elements and lists of them.
function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children.flat(9).filter((c) => c !== "" && c !== undefined && c !== null));
  return e;
}

// prose draws text with blank lines as paragraphs; its other line ends are only
// how the document was wrapped.
const prose = (text, attributes = {}) =>
  (text || "").split(/\n\s*\n/).filter(Boolean).map((p) => make("p", attributes, p.replaceAll("\n", " ")));

const nameOf = (ref) => ref.split("/").pop();
const linkTo = (ref) => make("a", { href: "#schema-" + nameOf(ref) }, nameOf(ref));
const verb = (method) => make("span", { class: "verb " + method }, method.toUpperCase());

fetch("/openapi.json").then((r) => r.json()).then(draw).catch((fault) => {
  document.getElementById("document").replaceChildren(make("p", {}, "The document cannot be drawn: " + fault));
});

function draw(api) {
  // resolve follows references; members beside a $ref go over what it names.
  const resolve = (v) => {
    if (!v || !v.$ref) return v;
    const target = v.$ref.slice(2).split("/").reduce((at, part) => at[part.replaceAll("~1", "/").replaceAll("~0", "~")], api);
    return { ...resolve(target), ...v, $ref: undefined };
  };

  // type says in a few words what a schema admits.
  function type(s) {
    if (!s) return "anything";
    if (s.$ref) return linkTo(s.$ref);
    if (s.const !== undefined) return JSON.stringify(s.const);
    if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(" | ");
    const some = s.oneOf || s.anyOf || s.allOf;
    if (some && !s.properties) return some.map((one, i) => [i ? (s.allOf ? " & " : " | ") : "", type(one)]);
    if (s.type === "array") return ["list of ", type(s.items)];
    const values = s.additionalProperties;
    if (s.type === "object" && !s.properties && values && typeof values === "object") return ["map of ", type(values)];
    return [].concat(s.type || "anything").join(" | ");
  }

  // limits says what else a schema demands.
  function limits(s) {
    const words = [];
    const range = (least, most, what) => {
      if (least !== undefined && most !== undefined) words.push(`${least} to ${most}${what}`);
      else if (least !== undefined) words.push(`at least ${least}${what}`);
      else if (most !== undefined) words.push(`at most ${most}${what}`);
    };
    range(s.minimum, s.maximum, "");
    range(s.minLength, s.maxLength, " bytes");
    range(s.minItems, s.maxItems, " items");
    if (s.default !== undefined) words.push("default " + s.default);
    if (s.pattern) words.push(s.pattern);
    return words.join(", ");
  }

  function row(name, s, required, description) {
    const detail = limits(s);
    return make("tr", {},
      make("td", {}, make("code", {}, name), required ? make("span", { class: "must" }, " required") : ""),
      make("td", {}, make("code", {}, type(s)), detail && make("div", { class: "dim" }, detail)),
      make("td", {}, description || s.description || ""));
  }

  const grid = (rows) => make("table", {}, make("tr", {}, ["name", "type", ""].map((h) => make("th", {}, h))), rows);

  // members draws the properties of a schema, with those of nested objects.
  function members(s, prefix = "") {
    return Object.entries(s.properties || {}).flatMap(([name, p]) => {
      const inner = p.type === "array" && p.items ? p.items : p;
      const nested = inner.properties ? members(inner, prefix + name + (inner === p ? "." : "[].")) : [];
      return [row(prefix + name, p, (s.required || []).includes(name)), ...nested];
    });
  }

  // sample makes an example of a schema; deep ones end in an ellipsis.
  function sample(given, depth = 0) {
    const s = resolve(given);
    if (!s || depth > 5) return "…";
    for (const known of [s.example, s.const, s.default, s.enum && s.enum[0]]) if (known !== undefined) return known;
    if (s.allOf) return Object.assign({}, ...s.allOf.map((one) => sample(one, depth)), plain(s, depth));
    const one = (s.oneOf || s.anyOf || []).map(resolve).find((o) => o.type !== "null" && !(o.type === "string" && s.oneOf.length > 1 && !o.pattern));
    if (one) return sample(one, depth + 1);
    switch ([].concat(s.type)[0]) {
      case "object": return plain(s, depth);
      case "array": return [sample(s.items, depth + 1)];
      case "integer": return s.minimum ?? 0;
      case "boolean": return false;
      case "string": return text(s);
    }
    return {};
  }

  const plain = (s, depth) => Object.fromEntries(Object.entries(s.properties || {}).map(([n, p]) => [n, sample(p, depth + 1)]));

  function text(s) {
    const pattern = s.pattern || "";
    if (pattern.includes("T\\d")) return "2026-01-02T15:04:05.000Z";
    if (pattern.includes("hms")) return "30m0s";
    if (pattern.includes("HJKMNP")) return "01JDA6W2GQ3W8C3XJ6T2S4V5B7";
    if (pattern.includes("a-f]{32}")) return "4bf92f3577b34da6a3ce929d0e0e4736";
    return "text";
  }

  const json = (v) => make("pre", {}, JSON.stringify(v, null, 2));

  // content draws the bodies of a request or an answer. Problems all look alike:
  // their schema is enough.
  function content(body, open) {
    return Object.entries(body.content || {}).map(([media, m]) => {
      if (media === "application/problem+json") return make("code", {}, " ", type(m.schema));
      const example = media === "application/json" && m.schema
        ? make("details", open ? { open: "" } : {}, make("summary", {}, "example"), json(m.example ?? sample(m.schema))) : "";
      return make("div", {}, make("span", { class: "dim" }, media, " "), m.schema ? make("code", {}, type(m.schema)) : "", example);
    });
  }

  function answers(responses) {
    return make("table", {}, Object.entries(responses).map(([status, given]) => {
      const r = resolve(given);
      return make("tr", {}, make("td", {}, make("code", {}, status)), make("td", {}, r.description || "", content(r)));
    }));
  }

  function route(path, item, method) {
    const o = item[method];
    const parameters = [...(item.parameters || []), ...(o.parameters || [])].map(resolve);
    const body = resolve(o.requestBody);
    return make("section", { id: o.operationId },
      make("h3", {}, verb(method), make("span", { class: "path" }, path)),
      prose(o.summary), prose(o.description || item.description, { class: "dim" }),
      parameters.length ? [make("h4", {}, "Parameters"),
        grid(parameters.map((p) => row(p.name, p.schema || {}, p.required, [p.in, p.description].filter(Boolean).join(" — "))))] : "",
      body ? [make("h4", {}, "Body"), content(body, true)] : "",
      make("h4", {}, "Answers"), answers(o.responses));
  }

  const index = [make("strong", {}, api.info.title + " API")];
  const pages = [make("h1", {}, api.info.title + " API"), prose(api.info.description),
    make("p", {}, make("a", { href: "/openapi.json" }, "openapi.json"), " · ", make("a", { href: "/" }, "this gateway"))];
  const routes = Object.entries(api.paths).flatMap(([path, item]) => verbs.filter((v) => item[v]).map((v) => ({ path, item, v })));
  for (const tag of api.tags) {
    const mine = routes.filter((r) => r.item[r.v].tags.includes(tag.name));
    index.push(make("h2", {}, tag.name), mine.map((r) =>
      make("a", { href: "#" + r.item[r.v].operationId, title: r.item[r.v].summary }, verb(r.v), make("span", { class: "path" }, r.path))));
    pages.push(make("h2", {}, tag.name), prose(tag.description), mine.map((r) => route(r.path, r.item, r.v)));
  }
  index.push(make("h2", {}, "schemas"));
  pages.push(make("h2", {}, "schemas"));
  for (const [name, s] of Object.entries(api.components.schemas)) {
    index.push(make("a", { href: "#schema-" + name }, name));
    const rows = members(s);
    pages.push(make("section", { id: "schema-" + name }, make("h3", {}, name), prose(s.description),
      rows.length ? grid(rows) : make("p", {}, make("code", {}, type(s)), " ", make("span", { class: "dim" }, limits(s))),
      rows.length && s.allOf ? make("p", {}, "and ", type({ allOf: s.allOf })) : ""));
  }
  document.getElementById("index").replaceChildren(...index.flat());
  document.getElementById("document").replaceChildren(...pages.flat());
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}
