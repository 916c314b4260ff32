/**
 * The conditions of a search for spans.
 *
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Address, first } from "../logic/address.ts";
import { cut, oneLine } from "../logic/cut.ts";
import { parseDuration } from "../logic/time.ts";
import { attributeCondition } from "../logic/values.ts";
import { question, useAnswer } from "../data/api.ts";
import { change } from "../data/use-address.ts";

const STATUSES = ["error", "ok", "unset"];
const KINDS = ["server", "client", "producer", "consumer", "internal"];

function option(name: string): string {
  return oneLine(cut(name, 80).text);
}

/** A choice of one of several, or of none. */
export function Choice({ label, name, address, options }: {
  label: string;
  name: string;
  address: Address;
  options: readonly (string | readonly [string, string])[];
}): JSX.Element {
  const value = first(address, name);
  const pairs = options.map((one) => typeof one === "string" ? [one, option(one)] as const : one);
  const known = value === "" || pairs.some(([one]) => one === value);
  return (
    <label class="field">
      <span>{label}</span>
      <select
        value={value}
        onChange={({ currentTarget }) => change({ [name]: currentTarget.value }, true)}
      >
        <option value="">any</option>
        {!known && <option value={value}>{option(value)}</option>}
        {pairs.map(([one, text]) => <option key={one} value={one}>{text}</option>)}
      </select>
    </label>
  );
}

/** A condition that is on or off. */
function Check({ label, name, address }: {
  label: string;
  name: string;
  address: Address;
}): JSX.Element {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={first(address, name) === "true"}
        onChange={({ currentTarget }) =>
          change({ [name]: currentTarget.checked ? "true" : "" }, true)}
      />
      {label}
    </label>
  );
}

/** The conditions on attributes: a field that adds one, and those that are there. */
export function AttributeConditions({ address, keys }: {
  address: Address;
  keys: readonly string[] | undefined;
}): JSX.Element {
  const [wrong, setWrong] = useState(false);
  const set = address.query.attribute ?? [];
  return (
    <>
      <label class="field wide">
        <span>Attribute</span>
        <input
          name="attribute"
          list="attribute-keys"
          placeholder="http.route=/items"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={wrong}
          aria-describedby={wrong ? "attribute-wrong" : undefined}
          onInput={() => setWrong(false)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            const input = event.currentTarget;
            const condition = attributeCondition(input.value);
            if (condition === undefined) {
              setWrong(input.value.trim() !== "");
              return;
            }
            input.value = "";
            if (!set.includes(condition)) change({ attribute: [...set, condition] }, true);
          }}
        />
      </label>
      <datalist id="attribute-keys">
        {keys?.slice(0, 300).map((key) => <option key={key} value={`${cut(key, 100).text}=`} />)}
      </datalist>
      {wrong && (
        <span class="bad" id="attribute-wrong" role="alert">
          Write a key, = and a value, then press Enter.
        </span>
      )}
      {set.map((condition) => (
        <span class="chip" key={condition}>
          {option(condition)}
          <button
            type="button"
            aria-label={`Drop the condition ${option(condition)}`}
            onClick={() => change({ attribute: set.filter((one) => one !== condition) }, true)}
          >
            ×
          </button>
        </span>
      ))}
    </>
  );
}

/** The form. */
export function SpanSearch({ address }: { address: Address }): JSX.Element {
  const services = useAnswer<readonly string[]>(question(["services"]));
  const service = first(address, "service");
  const names = useAnswer<readonly string[]>(question(["span-names"], { service }));
  const keys = useAnswer<readonly string[]>(question(["attribute-keys"]));
  const exact = first(address, "exact");
  const commit = (name: string) => ({ currentTarget }: { currentTarget: HTMLInputElement }): void =>
    change({ [name]: currentTarget.value.trim() }, true);
  const wrongDuration = ["min", "max"].filter((name) =>
    first(address, name) !== "" && parseDuration(first(address, name)) === undefined
  );
  return (
    <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
      <Choice label="Service" name="service" address={address} options={services.data ?? []} />
      <label class="field wide">
        <span>Name contains</span>
        <input
          type="search"
          list="span-names"
          key={`name ${first(address, "name")}`}
          defaultValue={first(address, "name")}
          autocomplete="off"
          spellcheck={false}
          onChange={commit("name")}
        />
      </label>
      <datalist id="span-names">
        {names.data?.slice(0, 300).map((name) => <option key={name} value={cut(name, 100).text} />)}
      </datalist>
      <AttributeConditions address={address} keys={keys.data} />
      {exact !== "" && (
        <span class="chip">
          name is {option(exact)}
          <button
            type="button"
            aria-label="Drop the name"
            onClick={() => change({ exact: "" }, true)}
          >
            ×
          </button>
        </span>
      )}
      <Choice label="Status" name="status" address={address} options={STATUSES} />
      <Choice label="Kind" name="kind" address={address} options={KINDS} />
      {["min", "max"].map((name) => (
        <label class="field narrow" key={name}>
          <span>{name === "min" ? "At least" : "At most"}</span>
          <input
            key={`${name} ${first(address, name)}`}
            defaultValue={first(address, name)}
            placeholder={name === "min" ? "250ms" : "2s"}
            size={7}
            aria-invalid={wrongDuration.includes(name)}
            onChange={commit(name)}
          />
        </label>
      ))}
      <Check label="Cut off only" name="interrupted" address={address} />
      <Check label="Roots only" name="root" address={address} />
      {wrongDuration.length > 0 && (
        <span class="bad" role="alert">A duration is a number and ns, µs, ms, s, min or h.</span>
      )}
    </form>
  );
}
