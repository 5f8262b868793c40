{# See _macros.yml. Gap rows come from the bucket before them, so nothing is read twice and no date is crossed. #}
{% macro sample_by(relation, every, aggregates, by=['symbol', 'date'], time='ts_event', fill='none', carried=none) -%}
{%- set seconds = seconds_of(every) -%}
{%- if fill not in ['none', 'null', 'previous'] -%}
    {{ exceptions.raise_compiler_error("Expected a fill of none, null or previous, was " ~ fill ~ ".") }}
{%- endif -%}
{%- if 'date' not in by -%}
    {{ exceptions.raise_compiler_error("Expected `by` with date, because no bucket crosses one, was " ~ by ~ ".") }}
{%- endif -%}
{%- set kept = (carried if carried is not none else aggregates.keys() | list) if fill == 'previous' else [] -%}
{%- set day = "date_trunc('day', " ~ time ~ ")" -%}
select
    {{ by | join(',\n    ') }},
    {% if fill == 'none' -%}
    sample_start as {{ time }},
    false as is_gap,
    {%- else -%}
    date_add('second', (gap_block * 10000 + gap) * {{ seconds }}, sample_start) as {{ time }},
    gap_block + gap > 0 as is_gap,
    {%- endif %}
    {% for name in aggregates -%}
    {{ name if fill == 'none' or name in kept else 'case when gap_block + gap = 0 then ' ~ name ~ ' end as ' ~ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor %}
from (
    select
        *,
        coalesce(
            date_diff(
                'second', sample_start, lead(sample_start) over (partition by {{ by | join(', ') }} order by sample_start)
            ) / {{ seconds }} - 1,
            0
        ) as gaps
    from (
        select
            {{ by | join(',\n            ') }},
            date_add('second', date_diff('second', {{ day }}, {{ time }}) / {{ seconds }} * {{ seconds }}, {{ day }}) as sample_start,
            {% for name, expression in aggregates.items() -%}
            {{ expression }} as {{ name }}{{ ',\n            ' if not loop.last }}
            {%- endfor %}
        from {{ relation }}
        group by
            {{ by | join(',\n            ') }},
            date_add('second', date_diff('second', {{ day }}, {{ time }}) / {{ seconds }} * {{ seconds }}, {{ day }})
    ) as sample_buckets
) as sample_spans
{%- if fill != 'none' %}
-- Two steps, because a sequence of Trino has at most 10,000 members.
cross join unnest(sequence(0, gaps / 10000)) as sample_blocks (gap_block)
cross join unnest(sequence(0, least(9999, gaps - gap_block * 10000))) as sample_gaps (gap)
{%- endif %}
{%- endmacro %}

{# Seconds of "<number> <second|minute|hour>[s]"; they must divide a day, else buckets of two dates would not agree. #}
{% macro seconds_of(every) -%}
{%- set parts = every.split(' ') -%}
{%- set unit = {'second': 1, 'minute': 60, 'hour': 3600}.get(parts[-1].rstrip('s'), 0) -%}
{%- set seconds = (parts[0] | int) * unit if parts | length == 2 else 0 -%}
{%- if seconds < 1 or 86400 % seconds != 0 -%}
    {{ exceptions.raise_compiler_error("Expected an interval such as '15 minutes' that divides a day, was '" ~ every ~ "'.") }}
{%- endif -%}
{{ return(seconds) }}
{%- endmacro %}
