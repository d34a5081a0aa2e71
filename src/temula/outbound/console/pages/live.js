const place = (id) => document.getElementById(id);

function show(id, value) {
  const text = value.toLocaleString("en");
  if (place(id).textContent === text) return;
  place(id).textContent = text;
  place(id).parentElement.classList.remove("moved");
  void place(id).offsetWidth; // lets the animation start anew
  place(id).parentElement.classList.add("moved");
}

function cell(tag, text, name) {
  const td = document.createElement("td");
  const inner = td.appendChild(document.createElement(tag));
  inner.textContent = text;
  if (name) inner.className = name;
  return td;
}

function row(sent) {
  const tr = document.createElement("tr");
  tr.append(cell("time", new Date(sent.at).toISOString().slice(11, 19)), cell("code", sent.type),
    cell("span", sent.to), cell("span", sent.state, `state ${sent.state}`));
  return tr;
}

function add(parent, tag, text, name) {
  const made = parent.appendChild(document.createElement(tag));
  made.textContent = text; // never as HTML: names and addresses are what somebody has typed
  if (name) made.className = name;
  return made;
}

function trouble(one) {
  const article = document.createElement("article");
  article.className = one.disabled ? "notice" : "notice warning";
  add(article, "h2", one.name);
  add(add(article, "p", ""), "code", one.url);
  add(article, "p", one.said);
  add(article, "p", one.todo, "quiet");
  if (one.can_enable) {
    const form = add(article, "form", "");
    form.method = "post";
    form.action = `/endpoints/${encodeURIComponent(one.id)}/enable`;
    add(form, "button", "Enable again");
  }
  return article;
}

function notice(one) {
  const tr = document.createElement("tr");
  tr.append(cell("time", new Date(one.at).toISOString().slice(0, 16).replace("T", " ")), cell("span", one.name),
    cell("span", one.said), cell("span", one.now, `state ${one.now}`));
  return tr;
}

// What has not changed is left alone, so that a button does not vanish under a finger.
const shown = {};
function replace(id, items, made) {
  const text = JSON.stringify(items);
  if (shown[id] === text) return;
  shown[id] = text;
  place(id).replaceChildren(...items.map(made));
}

const source = new EventSource("/live");
source.addEventListener("live", (event) => {
  const live = JSON.parse(event.data);
  for (const id of ["registrations", "checked_in", "deliveries", "disabled_endpoints"]) show(id, live[id]);
  place("notice").hidden = live.disabled_endpoints === 0;
  replace("troubled", live.troubled, trouble);
  replace("notices", live.notices, notice);
  place("notices_section").hidden = live.notices.length === 0;
  replace("latest", live.latest, row);
  place("none").hidden = live.latest.length > 0;
  place("link").textContent = "live";
  place("link").classList.add("on");
});
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) location.reload(); // the session has ended
  place("link").textContent = "connection lost, trying again";
  place("link").classList.remove("on");
};
