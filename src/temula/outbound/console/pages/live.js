const link = document.getElementById("link");
const source = new EventSource("/live");
source.addEventListener("numbers", (event) => {
  const numbers = JSON.parse(event.data);
  for (const [name, value] of Object.entries(numbers)) {
    const place = document.getElementById(name);
    if (place) place.textContent = value.toLocaleString();
  }
  document.getElementById("notice").hidden = numbers.disabled_endpoints === 0;
  link.textContent = "live";
});
source.onerror = () => { link.textContent = "connection lost, trying again"; };
