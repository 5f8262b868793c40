{# Passes when no two rows agree in the key, and neither the key nor the required columns are null: one scan for all of it. #}
{% test grain(model, key, required=[]) %}

select {{ key | join(', ') }}
from {{ model }}
group by {{ key | join(', ') }}
having
    count(*) > 1
    {% for column in key + required -%}
    or count({{ column }}) < count(*)
    {% endfor %}

{% endtest %}
