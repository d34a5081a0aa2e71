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

const source = new EventSource("/live");
source.addEventListener("live", (event) => {
  const live = JSON.parse(event.data);
  for (const id of ["registrations", "checked_in", "deliveries", "disabled_endpoints"]) show(id, live[id]);
  place("notice").hidden = live.disabled_endpoints === 0;
  place("latest").replaceChildren(...live.latest.map(row));
  place("none").hidden = live.latest.length > 0;
  place("link").textContent = "live";
  place("link").classList.add("on");
});
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) location.reload(); // the session has ended
  place("link").textContent = "connection lost, trying again";
  place("link").classList.remove("on");
};
