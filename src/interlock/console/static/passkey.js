// Passkeys: a decision whose form says so is signed before it is sent, and keys are registered on the account's page.
(() => {
  "use strict";
  const say = (form, text) => {
    let place = form.querySelector(".passkey-says");
    if (!place) {
      place = document.createElement("p");
      place.className = "wrong passkey-says";
      place.setAttribute("role", "alert");
      form.append(place);
    }
    place.textContent = text;
  };
  const ask = async (form, path, body, method = "POST") => {
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": form.elements.csrf.value };
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const told = answer.status === 204 ? {} : await answer.json();
    if (!answer.ok) throw new Error([told.detail, told.next_step].filter(Boolean).join(". "));
    return told;
  };
  const decision = (form) => {
    const fields = form.elements;
    const verdict = fields.verdict.value;
    const message = fields.message ? fields.message.value.replace(/\r\n/g, "\n") : "";
    if (verdict === "approve") return { type: "approve" };
    if (verdict === "respond") return { type: "respond", message };
    return { type: "edit", edited_action: { name: form.dataset.tool, args: JSON.parse(fields.arguments.value) } };
  };
  const sign = async (form) => {
    const body = { call_digest: form.elements.digest.value, decision: decision(form) };
    const { options } = await ask(form, `/v1/approvals/${form.dataset.passkey}/signing`, body);
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    const signed = await navigator.credentials.get({ publicKey });
    form.elements.passkey.value = JSON.stringify(signed.toJSON());
    form.submit();
  };
  const register = async (form) => {
    const { ceremony, options } = await ask(form, "/v1/me/passkeys/options");
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    const made = await navigator.credentials.create({ publicKey });
    await ask(form, "/v1/me/passkeys", { ceremony, name: form.elements.name.value, credential: made.toJSON() });
    location.reload();
  };
  const remove = async (form) => {
    await ask(form, `/v1/me/passkeys/${encodeURIComponent(form.dataset.removes)}`, null, "DELETE");
    location.reload();
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const data = form.dataset;
    const act = data.passkey ? sign : "registers" in data ? register : data.removes ? remove : null;
    if (!act) return;
    event.preventDefault();
    act(form).catch((error) => say(form, `Nothing was sent: ${error.message}`));
  });
})();
