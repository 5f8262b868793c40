{#
Passes when no two rows agree in the key, neither the key nor the required columns are null, and every expression of `holds` is true of
every row (null fails): one scan for all of it, because most of a test's time is its query's planning.
#}
{% test grain(model, key, required=[], holds=[]) %}

select {{ key | join(', ') }}
from {{ model }}
group by {{ key | join(', ') }}
having
    count(*) > 1
    {% for column in key + required -%}
    or count({{ column }}) < count(*)
    {% endfor -%}
    {% for expression in holds -%}
    or count_if({{ expression }}) < count(*)
    {% endfor %}

{% endtest %}
