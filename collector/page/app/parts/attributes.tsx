/**
 * Attributes as a table.
 *
 * @module
 */
import type { JSX } from "preact";
import type { Attribute } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { conditionFor, valueText, valueType } from "../logic/values.ts";
import { Long, Name } from "./text.tsx";

/**
 * A table of attributes.
 *
 * @param findIn The view that searches by them: each gets a link that does.
 */
export function Attributes({ attributes, label, findIn }: {
  attributes: readonly Attribute[];
  label: string;
  findIn?: "traces" | "logs";
}): JSX.Element {
  if (attributes.length === 0) return <p class="muted">None.</p>;
  return (
    <table class="attributes" aria-label={label}>
      <tbody>
        {attributes.map((attribute, i) => {
          const type = valueType(attribute.value);
          const condition = findIn && conditionFor(attribute);
          return (
            <tr key={i}>
              <th scope="row">
                <Name text={attribute.key} />
              </th>
              <td>
                <Long text={valueText(attribute.value)} label={attribute.key} />
                {type !== "" && <span class="type">{type}</span>}
                {condition !== undefined && condition.length < 1000 && (
                  <a
                    class="find"
                    href={formatAddress([findIn!], { attribute: condition })}
                    aria-label={`Find ${findIn} with this ${attribute.key.slice(0, 60)}`}
                    title={`Find ${findIn} with this value`}
                  >
                    find
                  </a>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
