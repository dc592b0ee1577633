// A whole payment with the client that openapi-typescript makes of the document. It must compile with --strict.
// Usage: GATEWAY=http://… KEY=gw_… node build/js/whole_payment.js
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths, webhooks } from "./build/gateway.js";

type Schemas = components["schemas"];
type Webhook = webhooks[keyof webhooks]["post"]["requestBody"]["content"]["application/json"];

// What must compile: the three members that are mandatory, and nothing else.
export const minimal: Schemas["PaymentCreate"] = { merchant_reference: "SO-1", amount: "1.00", currency: "USD" };
export const asNumber: Schemas["PaymentCreate"] = { ...minimal, amount: 1 };
export const noMembers: Schemas["PaymentUpdate"] = {};
export const sinceThen: Schemas["WebhookRedeliver"] = { created_after: "2026-01-02T00:00:00Z" };

// What must not: each of these lines is an error, or else the compiler complains about its mark.
export function mistakes(payment: Schemas["Payment"], webhook: Webhook, problem: Schemas["Problem"]): void {
  switch (payment.state) {
    case "captured":
      break;
    // @ts-expect-error  a typing error
    case "captrued":
      break;
  }
  // @ts-expect-error  not a type of a webhook
  if (webhook.type === "payment.payed") return;
  // @ts-expect-error  not a code
  if (problem.code === "not_fuond") return;
  // @ts-expect-error  a test is about no payment
  if (webhook.type === "webhook.test") console.log(webhook.data.payment.id);
  // @ts-expect-error  amounts are text on output
  const amount: number = payment.amount;
  // @ts-expect-error  a member that does not exist
  const create: Schemas["PaymentCreate"] = { ...minimal, reference: amount };
  assert(create);
}

// A webhook's type narrows its body, and all types of a state can be listed: `never` says that none was forgotten.
export function sentence(webhook: Webhook): string {
  if (webhook.type === "webhook.test") return "a test";
  const { state, amount_captured } = webhook.data.payment;
  switch (state) {
    case "created":
    case "awaiting_customer":
    case "processing":
    case "authorized":
      return "not paid yet";
    case "captured":
    case "partially_refunded":
    case "refunded":
      return `paid ${amount_captured}`;
    case "canceled":
    case "failed":
    case "expired":
      return "never paid";
    default:
      return state satisfies never;
  }
}

const { GATEWAY, KEY } = process.env;
assert(GATEWAY && KEY);
const api = createClient<paths>({ baseUrl: GATEWAY, headers: { Authorization: `Bearer ${KEY}` } });
const reference = `SO-ts-${Date.now()}`;
const under = (name: string) => ({ "Idempotency-Key": `${name}-${reference}` });

const created = await api.POST("/v1/payments", {
  params: { header: under("create") },
  body: {
    merchant_reference: reference,
    amount: "100.00",
    currency: "USD",
    account: "creditkey-main",
    order: {
      items: [{ merchant_id: "PJ-1", name: "Pallet jack", price: "50.00", quantity: 2 }],
      charges: { total: "100.00", grand_total: "100.00" },
      billing_address: { first_name: "Dana", last_name: "Reyes", email: "dana@reyes.example", phone_number: "253-555-0142" },
    },
    checkout: { mode: "link", contact_method: "email" },
    return_url: "https://erp.acme.example/paid",
    cancel_url: "https://erp.acme.example/gave-up",
  },
});
assert(created.data, JSON.stringify(created.error));
assert.equal(created.data.operation.status, "succeeded");
const path = { id: created.data.id };

// The customer accepts at the simulator, and the browser comes back.
const accepted = await fetch(`${created.data.redirect_url}/approve`, { method: "POST", headers: { Accept: "application/json" } });
const { redirect } = (await accepted.json()) as { redirect: string };
await fetch(redirect, { redirect: "manual" });

const captured = await api.POST("/v1/payments/{id}/capture", { params: { path, header: under("capture") }, body: {} });
assert.equal(captured.data?.state, "captured");
const refund = await api.POST("/v1/payments/{id}/refunds", {
  params: { path, header: under("refund") },
  body: { amount: "25.00", reason: "one carton was damaged" },
});
assert.equal(refund.data?.status, "succeeded");

const payment = await api.GET("/v1/payments/{id}", { params: { path } });
assert.equal(payment.data?.state, "partially_refunded");
assert.equal(payment.data.amount_refunded, "25.00");
const list = await api.GET("/v1/payments", { params: { query: { merchant_reference: reference, state: "partially_refunded" } } });
assert.deepEqual(list.data?.data.map((one) => one.id), [path.id]);

const missing = await api.GET("/v1/payments/{id}", { params: { path: { id: "pay_none" } } });
assert.equal(missing.error?.code, "not_found");
console.log(`TypeScript: payment ${path.id} created, captured, refunded, listed`);
