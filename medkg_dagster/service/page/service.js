// The service: questions, and why there is no answer.

const KEPT = "medkg-token";

/** Keeps the token of an address that ends in `#token=...`, and takes it out of the address. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get("token");
  if (!token) return;
  sessionStorage.setItem(KEPT, token);
  given.delete("token");
  history.replaceState(null, "", `#${given}`);
}

/** Asks one question; throws an Error with the service's sentence where there is no answer. */
export async function ask(question, parameters = {}, signal = undefined) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") asked.append(name, one);
  }
  const token = sessionStorage.getItem(KEPT);
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(`api/${question}?${asked}`, { headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the service does not answer; start `medkg serve` again and reload");
  }
  const answer = await response.json().catch(() => ({ error: `the service answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error ?? `the service answered ${response.status}`);
  return answer;
}
