{#
Passes when no two rows agree in the key, neither the key nor the required columns are null, and every expression of `holds` is true of
every row (null fails): one scan for all of it, because most of a test's time is its query's planning. Each row is judged before it is
grouped, so that a group of the aggregation is a count and a flag: seconds of a long range are tens of millions of groups.
#}
{% test grain(model, key, required=[], holds=[]) %}

with judged as (
    select
        {{ key | join(', ') }},
        {% for column in key + required -%}
        {{ column }} is null or
        {% endfor -%}
        {% for expression in holds -%}
        not coalesce({{ expression }}, false) or
        {% endfor -%}
        false as is_wrong
    from {{ model }}
)

select {{ key | join(', ') }}
from judged
group by {{ key | join(', ') }}
having count(*) > 1 or bool_or(is_wrong)

{% endtest %}
