{# Passes when the expression is true of every row; null fails. #}
{% test is_true(model, expression) %}

select *
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}
