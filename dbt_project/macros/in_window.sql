{# What a test looks at: all dates, or those of TICK_WINDOW_FROM .. TICK_WINDOW_TO, both inclusive. Prunes partitions. #}
{% macro in_window(column='date') -%}
    {{ column }} between date '{{ env_var("TICK_WINDOW_FROM", "1970-01-01") }}' and date '{{ env_var("TICK_WINDOW_TO", "9999-12-31") }}'
{%- endmacro %}
