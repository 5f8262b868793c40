{# As dbt's own, with `__in_window__` in a test's `where` standing for the dates to look at: macros are not allowed there. #}
{% macro get_where_subquery(relation) -%}
    {% set where = config.get('where', '') %}
    {% if where %}
        (select * from {{ relation }} where {{ where | replace('__in_window__', in_window()) }}) as dbt_subquery
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
